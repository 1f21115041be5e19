import type { Reference } from '../reference.ts'
import type { Descriptor } from './descriptor.ts'

/** Bytes to be stored: in memory, or a file. */
export type Content = Uint8Array | { readonly path: string }

/** What goes on while a blob is fetched. */
export interface Transfer {
  readonly onBytes?: (bytes: number) => void
  readonly signal?: AbortSignal
}

/**
 * What a registry does, wherever it is. Two kinds exist, an OCI image layout on disk and the OCI distribution API over
 * HTTP; both pass the suite in `test/zoo/registry/oci/registry.suite.ts`.
 */
export interface Registry {
  /** Where it is, for people. */
  readonly place: string
  /** What a reference points to now; undefined where this registry doesn't have it. */
  resolve(reference: Reference): Promise<Descriptor | undefined>
  /** The manifest's bytes, checked against the digest. */
  manifest(name: string, descriptor: Descriptor): Promise<Buffer>
  /** The path of a blob's content, checked against the digest. */
  blob(name: string, descriptor: Descriptor, transfer?: Transfer): Promise<string>
  /** Artifacts about this one, such as signatures. */
  referrers(name: string, digest: string): Promise<Descriptor[]>
  list(): Promise<{ readonly name: string; readonly tags: readonly string[] }[]>
  /** Stores a blob unless it is there; true where bytes were sent. */
  putBlob(name: string, descriptor: Descriptor, content: Content): Promise<boolean>
  /** Stores a manifest whose blobs are there, and points the tags to it. */
  putManifest(name: string, descriptor: Descriptor, bytes: Uint8Array, tags: readonly string[]): Promise<void>
}

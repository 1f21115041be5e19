import type { KeyObject } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Client } from './client.ts'
import { registries } from './endpoints.ts'
import type { Registry } from './oci/registry.ts'
import { findModel, signedModel } from './pull.ts'
import type { Reference } from './reference.ts'
import { hashFile } from './store/hash.ts'
import { type SignatureState, signatureOf } from './trust/check.ts'
import { readPolicy, trustFor } from './trust/policy.ts'

export interface Verified {
  readonly name: string
  readonly version: string
  readonly digest: string
  readonly folder: string
  /** Paths in the folder, or named by the manifest. */
  readonly missing: readonly string[]
  readonly altered: readonly string[]
  readonly extra: readonly string[]
  readonly signature: SignatureState
}

/**
 * Compares a model's folder in the cache with what its registry says it is, and looks at its signatures.
 *
 * @param deep reads every byte; otherwise sizes are compared
 * @param keys public keys that are trusted instead of the policy's signers
 */
export async function verifyModel(
  client: Client,
  reference: Reference,
  options: {
    readonly deep: boolean
    readonly keys?: readonly KeyObject[]
    readonly places?: readonly Registry[]
  },
): Promise<Verified> {
  const published = await findModel(client, reference, options.places ?? registries(client))
  const { manifest, card, descriptor, folder, registry } = published
  const files = [card, ...manifest.files]
  const present = new Set(await filesBelow(folder))
  const missing: string[] = []
  const altered: string[] = []
  for (const { path, size, sha256 } of files) {
    if (!present.delete(path)) missing.push(path)
    else if ((await stat(join(folder, path))).size !== size) altered.push(path)
    else if (options.deep && (await hashFile(join(folder, path))).sha256 !== sha256) altered.push(path)
  }
  const { keys = [] } = options
  const trust =
    keys.length > 0 ? { signers: new Map() } : trustFor(readPolicy(client.settings), manifest.name)
  return {
    ...{ name: manifest.name, version: manifest.version, digest: descriptor.digest, folder },
    ...{ missing, altered, extra: [...present].sort() },
    signature: await signatureOf(registry, signedModel(published), trust, keys),
  }
}

/** Paths of all files below a folder, with forward slashes. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
}

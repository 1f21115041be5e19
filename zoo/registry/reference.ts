import { existsSync } from 'node:fs'
import { ZooError } from '../../manifests/error.ts'
import { nameSchema } from '../../manifests/schema/model.ts'

/** Which version of a named model: the one that a tag points to now, or one by its digest for good. */
export interface Reference {
  readonly name: string
  readonly tag: string
  /** `sha256:...`; where it is given the tag says nothing. */
  readonly digest: string | undefined
}

/** MODEL as commands take it. */
export type ModelSpec =
  | { readonly kind: 'path'; readonly path: string }
  /** https, hf:, npm: or file:, to an .onnx file or to a model's manifest. */
  | { readonly kind: 'source'; readonly source: string; readonly sha256: string | undefined }
  | { readonly kind: 'name'; readonly reference: Reference }
  /** `oci://HOST/PREFIX/NAME`: a name in a registry other than the usual ones. */
  | { readonly kind: 'oci'; readonly endpoint: string; readonly reference: Reference }

export const DEFAULT_TAG = 'latest'

/**
 * Reads MODEL: a name with an optional tag or digest (`resnet638-advbn`, `@1.0.0`, `@sha256:...`), a path, a source
 * with an optional `#sha256=...`, or `oci://HOST/PREFIX/NAME[@...]`.
 *
 * @throws ZooError `usage`
 */
export function parseModelSpec(text: string): ModelSpec {
  if (text.startsWith('oci://')) {
    const slash = text.lastIndexOf('/', text.includes('@') ? text.indexOf('@') : undefined)
    return {
      kind: 'oci',
      endpoint: text.slice('oci://'.length, slash),
      reference: parseReference(text.slice(slash + 1)),
    }
  }
  if (/^(https?:\/\/|hf:|npm:|file:)/.test(text)) {
    const [, source, sha256] = /^(.*?)(?:#sha256=([0-9a-f]{64}))?$/s.exec(text)!
    return { kind: 'source', source: source!, sha256 }
  }
  if (/[/\\]|\.(onnx|json)$/.test(text) || existsSync(text)) return { kind: 'path', path: text }
  return { kind: 'name', reference: parseReference(text) }
}

/** @throws ZooError `usage` */
export function parseReference(text: string): Reference {
  const match = /^(?<name>[^@:]+)(?:[@:](?:(?<digest>sha256:[0-9a-f]{64})|(?<tag>\w[\w.-]{0,127})))?$/.exec(
    text,
  )
  const { name = '', digest, tag = DEFAULT_TAG } = match?.groups ?? {}
  if (!nameSchema.safeParse(name).success)
    throw new ZooError('usage', `${text} is not a model's name`, {
      hint: 'a model is NAME, NAME@TAG, NAME@sha256:DIGEST, a path to an .onnx file, or an https URL',
    })
  return { name, tag, digest }
}

export const printReference = ({ name, tag, digest }: Reference): string => `${name}@${digest ?? tag}`

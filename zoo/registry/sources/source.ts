import { ZooError } from '../../../manifests/error.ts'

/** A source (see manifests/schema/source.ts), taken apart. */
export type Source =
  | { readonly kind: 'https'; readonly url: string; readonly member: string | undefined }
  | { readonly kind: 'npm'; readonly spec: string; readonly member: string }
  | { readonly kind: 'hf'; readonly repository: string; readonly revision: string; readonly path: string }
  | { readonly kind: 'file'; readonly path: string }

/** @throws ZooError `usage` where it is no source at all */
export function parseSource(text: string): Source {
  const npm = /^npm:((?:@[\w.-]+\/)?[\w.-]+@[\w.+-]+)\/(.+)$/.exec(text)
  if (npm) return { kind: 'npm', spec: npm[1]!, member: npm[2]! }
  const hf = /^hf:([\w.-]+\/[\w.-]+)@([^/]+)\/(.+)$/.exec(text)
  if (hf) return { kind: 'hf', repository: hf[1]!, revision: decodeURIComponent(hf[2]!), path: hf[3]! }
  if (text.startsWith('file:')) return { kind: 'file', path: text.slice('file:'.length) }
  if (/^https?:\/\//.test(text)) {
    const [url, member] = text.split('#', 2)
    return { kind: 'https', url: url!, member }
  }
  throw new ZooError('usage', `${text} is not a source`, {
    hint: 'a source is https://..., npm:PACKAGE@VERSION/PATH, hf:OWNER/REPOSITORY@REVISION/PATH or file:PATH',
  })
}

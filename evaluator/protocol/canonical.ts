import { createHash } from 'node:crypto'

/** A document as text that depends on its content alone: keys sorted, no white space, absent values left out. */
export function canonical(document: unknown): string {
  if (Array.isArray(document)) return `[${document.map(canonical).join(',')}]`
  if (document === null || typeof document !== 'object') return JSON.stringify(document) ?? 'null'
  const fields = Object.entries(document)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`).join(',')}}`
}

export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex')

export const digestOf = (document: unknown): string => sha256(canonical(document))

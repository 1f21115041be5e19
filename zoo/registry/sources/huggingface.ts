import type { Source } from './source.ts'

type HuggingFaceSource = Extract<Source, { kind: 'hf' }>

/** HF_ENDPOINT is the variable by which the Hub's own tools are pointed at a mirror. */
export function huggingFaceUrl({ repository, revision, path }: HuggingFaceSource): string {
  const base = process.env.HF_ENDPOINT?.replace(/\/+$/, '') || 'https://huggingface.co'
  return `${base}/${repository}/resolve/${encodeURIComponent(revision)}/${path}`
}

/** The Hub's token, where the user has set one. Redirects to another origin lose it. */
export async function huggingFaceHeaders(): Promise<Record<string, string>> {
  return process.env.HF_TOKEN ? { authorization: `Bearer ${process.env.HF_TOKEN}` } : {}
}

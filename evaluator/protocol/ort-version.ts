import { createRequire } from 'node:module'

/** The version of onnxruntime that computes here: outputs may change from one to the next. */
export const ortVersion = (): string =>
  (createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }).version

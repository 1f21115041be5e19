import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { readModel } from '../../converters/onnx/file.ts'

/** Digest of the files in which a model keeps weights beside its .onnx file, in the order of their names; undefined if there are none. */
export async function externalDigest(path: string): Promise<string | undefined> {
  const { graph } = await readModel(path)
  const files = new Set([...graph.initializers.values()].flatMap(({ file }) => (file ? [file.path] : [])))
  if (files.size === 0) return undefined
  const whole = createHash('sha256')
  for (const file of [...files].sort()) {
    const hash = createHash('sha256')
    await pipeline(createReadStream(file), hash)
    whole.update(hash.digest('hex'))
  }
  return whole.digest('hex')
}

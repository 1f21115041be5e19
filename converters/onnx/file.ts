import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { writeFileAtomic } from '../../manifests/atomic.ts'
import { asZooError, ZooError } from '../../manifests/error.ts'
import { encodedModel } from './codec/encode.ts'
import { decodeModel } from './codec.ts'
import { externalDataOf, externalEntry, layOut, storedLength, writeExternal } from './external-data.ts'
import type { Model } from './graph.ts'

/** From this size on weights go into a second file: protobuf ends at 2 GiB, and other tools earlier. */
const EXTERNAL_ABOVE = 1.5e9

/**
 * Reads an .onnx file. External data beside it is checked (it must lie inside the model's folder) but not loaded:
 * its tensors read it when they are used.
 *
 * @throws ZooError `not-found`, `invalid-model` or `unsupported-model`, naming the file
 */
export async function readModel(path: string): Promise<Model> {
  try {
    const { size } = await stat(path)
    if (size >= 2 ** 31)
      throw new ZooError('unsupported-model', 'a single .onnx file ends at 2 GiB; this one is larger', {
        hint: 'export it with its weights as external data',
      })
    return decodeModel(await readFile(path), externalDataOf(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      throw new ZooError('invalid-model', `${path} is a folder, not an .onnx file`)
    if (!(error instanceof ZooError)) throw asZooError(error)
    const { code, message, hint } = error
    throw new ZooError(code, `${path}: ${message}`, { cause: error, ...(hint && { hint }) })
  }
}

/**
 * Writes an .onnx file, whole or not at all. A model with more than 1.5 GB of weights gets a second file,
 * `NAME.onnx.data`, written first; weights that already lie in a file are copied without being loaded.
 */
export async function writeModel(
  model: Model,
  path: string,
  { externalAbove = EXTERNAL_ABOVE }: { externalAbove?: number } = {},
): Promise<void> {
  let size = 0
  for (const tensor of new Set(model.graph.initializers.values())) size += storedLength(tensor)
  if (size <= externalAbove) return writeFileAtomic(path, encodedModel(model))
  const location = `${basename(path)}.data`
  const layout = layOut(model)
  const bytes = encodedModel(model, (tensor) => {
    const offset = layout.get(tensor)
    return offset === undefined ? undefined : externalEntry(location, offset, tensor)
  })
  await writeFileAtomic(`${path}.data`, (file) => writeExternal(layout, file))
  await writeFileAtomic(path, bytes)
}

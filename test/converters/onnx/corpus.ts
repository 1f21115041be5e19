import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { decodedTensor } from '../../../converters/onnx/codec/tensor.ts'
import type { ValueInfo } from '../../../converters/onnx/graph.ts'
import type { SessionValue } from '../../../converters/onnx/runtime/session.ts'
import { TensorProtoSchema } from '../../../converters/onnx/schema/onnx_pb.ts'
import { type DataType, sizeOf, Tensor } from '../../../converters/onnx/tensor.ts'

/** ONNX's own test models with inputs and expected outputs, as Debian's package `libonnx-testdata` installs them. */
export const nodeTests: string | undefined = ['/usr/share/libonnx-testdata/data'].find((path) =>
  existsSync(path),
)
export const needsNodeTests = nodeTests ? '' : ' (skipped: libonnx-testdata is not installed)'

export const modelsUnder = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.onnx'))
    .sort()
    .map((path) => join(folder, path))

/** The inputs that lie beside a node test's model, where they are tensors. */
export function storedInputs(model: string, inputs: readonly ValueInfo[]): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {}
  for (const [index, { name, otherType }] of inputs.entries()) {
    if (otherType) continue
    const path = join(dirname(model), 'test_data_set_0', `input_${index}.pb`)
    if (existsSync(path))
      feeds[name] = decodedTensor(fromBinary(TensorProtoSchema, readFileSync(path)), undefined)
  }
  return feeds
}

/** Inputs that look random, the same each time; one image where the batch size is open. */
export const someInputs = (inputs: readonly SessionValue[]): Record<string, Tensor> =>
  Object.fromEntries(
    inputs.map(({ name, dtype, dims }) => {
      const shape = (dims ?? []).map((dim) => (typeof dim === 'number' ? dim : 1))
      return [name, filled(dtype, shape)]
    }),
  )

function filled(dtype: DataType, dims: readonly number[]): Tensor {
  const value = (i: number): number => (Math.sin(i * 12.9898) + 1) / 2
  const length = sizeOf(dims)
  if (dtype === 'uint8')
    return Tensor.of(
      dtype,
      dims,
      Uint8Array.from({ length }, (_, i) => value(i) * 255),
    )
  if (dtype === 'float64')
    return Tensor.of(
      dtype,
      dims,
      Float64Array.from({ length }, (_, i) => value(i)),
    )
  return Tensor.float32(
    dims,
    Float32Array.from({ length }, (_, i) => value(i)),
  )
}

import { Attributes, type Node } from './graph.ts'
import { type DataType, dataTypeFromCode } from './tensor.ts'

const BOOLEAN = new Set('Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Xor IsNaN IsInf'.split(' '))
const INDEX = new Set('Shape Size ArgMax ArgMin NonZero NonMaxSuppression'.split(' '))

/**
 * The element type of a node's output number `index`, given those of its inputs. Almost every operator computes in its
 * first input's type; the exceptions are listed. undefined where it cannot be told.
 */
export function outputType(
  node: Node,
  index: number,
  inputType: (input: string) => DataType | undefined,
): DataType | undefined {
  const attributes = new Attributes(node)
  const of = (i: number): DataType | undefined => (node.inputs[i] ? inputType(node.inputs[i]) : undefined)
  const { opType } = node
  if (BOOLEAN.has(opType)) return 'bool'
  if (INDEX.has(opType)) return 'int64'
  if (index > 0 && ['MaxPool', 'TopK', 'Unique'].includes(opType)) return 'int64'
  if (index > 0 && opType === 'Dropout') return 'bool'
  switch (opType) {
    case 'Cast':
      return dataTypeFromCode(attributes.int('to', 0))
    case 'Constant':
      return constantType(attributes)
    case 'ConstantOfShape':
      return attributes.tensor('value')?.dtype ?? 'float32'
    case 'EyeLike':
    case 'RandomNormalLike':
    case 'RandomUniformLike':
    case 'Bernoulli':
      return dataTypeFromCode(attributes.int('dtype', 0)) ?? of(0)
    case 'RandomNormal':
    case 'RandomUniform':
      return dataTypeFromCode(attributes.int('dtype', 1))
    case 'BlackmanWindow':
    case 'HammingWindow':
    case 'HannWindow':
      return dataTypeFromCode(attributes.int('output_datatype', 1))
    case 'Multinomial':
      return dataTypeFromCode(attributes.int('dtype', 6))
    case 'If':
      return attributes.graph('then_branch')?.outputs[index]?.dtype
    case 'Loop':
    case 'Scan':
      return undefined
    case 'CastLike':
    case 'Where':
    case 'DequantizeLinear':
      return of(1)
    case 'OneHot':
      return of(2)
    case 'QuantizeLinear':
      return of(2) ?? dataTypeFromCode(attributes.int('output_dtype', 2))
    case 'QLinearConv':
    case 'QLinearMatMul':
      return of(7)
    case 'ConvInteger':
    case 'MatMulInteger':
      return 'int32'
    case 'DynamicQuantizeLinear':
      return index === 1 ? 'float32' : 'uint8'
    default:
      return node.domain === '' ? of(0) : undefined
  }
}

function constantType(attributes: Attributes): DataType | undefined {
  if (attributes.has('value')) return attributes.tensor('value')?.dtype
  return attributes.has('value_int') || attributes.has('value_ints') ? 'int64' : 'float32'
}

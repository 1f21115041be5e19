import { activationNamed, leakyRelu, prelu } from '../lowering/activation.ts'
import { cast, clip, combine, select, unary } from '../lowering/elementwise.ts'
import { type Lowering, unsupported } from '../lowering/lowering.ts'
import { scalar, type Value } from '../lowering/value.ts'
import { type NodeCall, type NodeRule, type NodeTable, numberOf } from './rule.ts'

const simple =
  (opType: string): NodeRule =>
  ({ l, x }) =>
    unary(l, opType, x)

/** Roots, exponentials and the like: of integers, too, they are floats. */
const real =
  (opType: string): NodeRule =>
  ({ l, x }) =>
    unary(l, opType, cast(l, x, 'float32'))

const binary =
  (opType: string): NodeRule =>
  ({ l, inputs }) =>
    combine(l, opType, inputs)

const compare =
  (opType: string): NodeRule =>
  ({ l, inputs }) =>
    combine(l, opType, inputs, 'bool')

const activation =
  (name: string): NodeRule =>
  ({ l, x }) =>
    activationNamed(name)!(l, x)

/** Operators on one value or several, element by element. */
export const ELEMENTWISE: NodeTable = {
  Add: binary('Add'),
  AddV2: binary('Add'),
  AddN: ({ l, inputs }) => inputs.reduce((sum, value) => combine(l, 'Add', [sum, value])),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  RealDiv: (call) => quotient(call),
  Div: (call) => quotient(call),
  FloorDiv: ({ l, inputs }) => cast(l, unary(l, 'Floor', combine(l, 'Div', floats(l, inputs))), 'int32'),
  DivNoNan({ l, inputs }) {
    const [a, b] = floats(l, inputs) as [Value, Value]
    const nothing = combine(l, 'Equal', [b, scalar(0)], 'bool')
    return select(l, nothing, scalar(0), combine(l, 'Div', [a, b]))
  },
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow'),
  SquaredDifference: ({ l, inputs }) => squared(l, combine(l, 'Sub', inputs)),
  Square: ({ l, x }) => squared(l, x),
  Neg: simple('Neg'),
  Abs: simple('Abs'),
  Sign: simple('Sign'),
  Ceil: real('Ceil'),
  Floor: real('Floor'),
  Round: real('Round'),
  Exp: real('Exp'),
  Expm1: ({ l, x }) => combine(l, 'Sub', [unary(l, 'Exp', x), scalar(1)]),
  Log: real('Log'),
  Log1p: ({ l, x }) => unary(l, 'Log', combine(l, 'Add', [x, scalar(1)])),
  Sqrt: real('Sqrt'),
  Rsqrt: ({ l, x }) => unary(l, 'Reciprocal', unary(l, 'Sqrt', x)),
  Reciprocal: real('Reciprocal'),
  Sin: real('Sin'),
  Cos: real('Cos'),
  Tan: real('Tan'),
  Asin: real('Asin'),
  Acos: real('Acos'),
  Atan: real('Atan'),
  Sinh: real('Sinh'),
  Cosh: real('Cosh'),
  Asinh: real('Asinh'),
  Acosh: real('Acosh'),
  Atanh: real('Atanh'),
  Erf: real('Erf'),
  ClipByValue: ({ l, x, inputs }) =>
    clip(l, x, numberOf(inputs[1], 'a limit'), numberOf(inputs[2], 'a limit')),

  Relu: activation('relu'),
  Relu6: activation('relu6'),
  Elu: activation('elu'),
  Selu: activation('selu'),
  Sigmoid: activation('sigmoid'),
  Softplus: activation('softplus'),
  Tanh: activation('tanh'),
  LeakyRelu: ({ l, x, attributes }) => leakyRelu(l, x, attributes.float('alpha', 0.2)),
  Prelu: ({ l, x, inputs }) => prelu(l, x, inputs[1]!),

  Equal: compare('Equal'),
  NotEqual: ({ l, inputs }) => unary(l, 'Not', combine(l, 'Equal', inputs, 'bool')),
  Greater: compare('Greater'),
  GreaterEqual: compare('GreaterOrEqual'),
  Less: compare('Less'),
  LessEqual: compare('LessOrEqual'),
  LogicalAnd: binary('And'),
  LogicalOr: binary('Or'),
  LogicalNot: simple('Not'),
  Select: ({ l, inputs }) => select(l, inputs[0]!, inputs[1]!, inputs[2]!),
  SelectV2: ({ l, inputs }) => select(l, inputs[0]!, inputs[1]!, inputs[2]!),
  Cast: ({ l, x, attributes }) => cast(l, x, attributes.dtype('DstT', 'float32')),
}

const squared = (l: Lowering, x: Value): Value => combine(l, 'Mul', [x, x])

const floats = (l: Lowering, values: readonly Value[]): Value[] =>
  values.map((value) => cast(l, value, 'float32'))

/** tfjs divides integers by dropping the rest, which ONNX does towards zero and tfjs towards minus infinity. */
function quotient({ l, inputs }: NodeCall): Value {
  if (inputs.every(({ dtype }) => dtype === 'int32')) throw unsupported('a division of integers')
  return combine(l, 'Div', inputs)
}

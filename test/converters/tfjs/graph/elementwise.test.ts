import { ELEMENTWISE } from '../../../../converters/tfjs/graph/elementwise.ts'
import { float, type GraphFile, type } from './file.ts'
import { convolved, everyOperator, features, image, toFloat, unary, type Write } from './suite.ts'

/** An operator on two values, one of them channels-first. */
const binary =
  (op: string, after: (g: GraphFile, y: string) => string = (_, y) => y): Write =>
  (g) => {
    const x = g.input('x', image)
    return [
      after(g, g.node(op, [convolved(g, x), g.weight('vector', [3], (value) => value + Math.sign(value))])),
      after(g, g.node(op, [x, convolved(g, x)])),
      after(
        g,
        g.node(op, [convolved(g, x), g.weight('plane', [7, 6, 1], (value) => value + Math.sign(value))]),
      ),
    ]
  }

const compared = (op: string): Write => binary(op, toFloat)

const logical =
  (op: string): Write =>
  (g) => {
    const x = features(g)
    const above = g.node('Greater', [x, g.floats([0.1], [])])
    const below = g.node('Less', [x, g.floats([0.5], [])])
    return toFloat(g, g.node(op, [above, below]))
  }

everyOperator('Elementwise operators', ELEMENTWISE, {
  Add: binary('Add'),
  AddV2: binary('AddV2'),
  AddN: (g) => g.node('AddN', [g.input('x', image), convolved(g, 'x'), 'x']),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  RealDiv: (g) => g.node('RealDiv', [features(g), g.floats([2, -3, 4])]),
  Div: (g) => g.node('Div', [features(g), g.floats([2, -3, 4])]),
  FloorDiv: (g) => toFloat(g, g.node('FloorDiv', [features(g), g.floats([0.3, -0.4, 0.5])])),
  DivNoNan: (g) => g.node('DivNoNan', [features(g), g.floats([2, 0, 4])]),
  Maximum: binary('Maximum'),
  Minimum: binary('Minimum'),
  Pow: (g) => g.node('Pow', [g.node('Abs', [g.input('x', image)]), g.floats([2, 0.5, 3])]),
  SquaredDifference: binary('SquaredDifference'),
  Square: unary('Square'),
  Neg: unary('Neg'),
  Abs: unary('Abs'),
  Sign: unary('Sign'),
  Ceil: unary('Ceil'),
  Floor: unary('Floor'),
  Round: unary('Round'),
  Exp: unary('Exp'),
  Expm1: unary('Expm1'),
  Log: (g) =>
    g.node('Log', [g.node('AddV2', [g.node('Square', [g.input('x', image)]), g.floats([0.1], [])])]),
  Log1p: (g) => g.node('Log1p', [g.node('Square', [g.input('x', image)])]),
  Sqrt: (g) => g.node('Sqrt', [g.node('Square', [g.input('x', image)])]),
  Rsqrt: (g) =>
    g.node('Rsqrt', [g.node('AddV2', [g.node('Square', [g.input('x', image)]), g.floats([0.1], [])])]),
  Reciprocal: (g) =>
    g.node('Reciprocal', [g.node('AddV2', [g.node('Square', [g.input('x', image)]), g.floats([0.1], [])])]),
  Sin: unary('Sin'),
  Cos: unary('Cos'),
  Tan: (g) => g.node('Tan', [g.input('x', image)]),
  Asin: (g) => g.node('Asin', [g.input('x', image)]),
  Acos: (g) => g.node('Acos', [g.input('x', image)]),
  Atan: unary('Atan'),
  Sinh: unary('Sinh'),
  Cosh: unary('Cosh'),
  Asinh: unary('Asinh'),
  Acosh: (g) =>
    g.node('Acosh', [g.node('AddV2', [g.node('Square', [g.input('x', image)]), g.floats([1.1], [])])]),
  Atanh: (g) => g.node('Atanh', [g.node('Mul', [g.input('x', image), g.floats([0.9], [])])]),
  Erf: unary('Erf'),
  ClipByValue: (g) => g.node('ClipByValue', [features(g), g.floats([-0.5], []), g.floats([0.3], [])]),
  Relu: unary('Relu'),
  Relu6: unary('Relu6'),
  Elu: unary('Elu'),
  Selu: unary('Selu'),
  Sigmoid: unary('Sigmoid'),
  Softplus: unary('Softplus'),
  Tanh: unary('Tanh'),
  LeakyRelu: (g) => g.node('LeakyRelu', [features(g)], { alpha: float(0.1) }),
  Prelu: (g) => g.node('Prelu', [features(g), g.weight('slope', [3])]),
  Equal: (g) => toFloat(g, g.node('Equal', [g.node('Round', [features(g)]), g.floats([1, 0, -1])])),
  NotEqual: compared('NotEqual'),
  Greater: compared('Greater'),
  GreaterEqual: compared('GreaterEqual'),
  Less: compared('Less'),
  LessEqual: compared('LessEqual'),
  LogicalAnd: logical('LogicalAnd'),
  LogicalOr: logical('LogicalOr'),
  LogicalNot: (g) => toFloat(g, g.node('LogicalNot', [g.node('Greater', [features(g), g.floats([0], [])])])),
  Select: (g) => {
    const x = features(g)
    return g.node('Select', [g.node('Greater', [x, g.floats([0], [])]), x, 'x'])
  },
  SelectV2: (g) => {
    const x = features(g)
    return g.node('SelectV2', [g.node('Greater', [x, g.floats([0], [])]), g.floats([1, 2, 3]), x])
  },
  Cast: (g) =>
    toFloat(
      g,
      g.node('Cast', [g.node('Mul', [g.input('x', image), g.floats([5], [])])], { DstT: type('DT_INT32') }),
    ),
})

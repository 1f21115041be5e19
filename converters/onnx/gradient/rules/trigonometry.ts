import { type RuleTable, unary } from '../rule.ts'

/** Trigonometric and hyperbolic functions. */
export const trigonometry: RuleTable = {
  Sin: unary((op, dy, x) => op.mul(dy, op.op('Cos', [x]))),
  Cos: unary((op, dy, x) => op.neg(op.mul(dy, op.op('Sin', [x])))),
  Tan: unary((op, dy, _x, y) => op.mul(dy, op.shift(op.square(y), 1))),
  Asin: unary((op, dy, x) => op.div(dy, op.sqrt(op.sub(op.scalar(1), op.square(x))))),
  Acos: unary((op, dy, x) => op.neg(op.div(dy, op.sqrt(op.sub(op.scalar(1), op.square(x)))))),
  Atan: unary((op, dy, x) => op.div(dy, op.shift(op.square(x), 1))),
  Sinh: unary((op, dy, x) => op.mul(dy, op.op('Cosh', [x]))),
  Cosh: unary((op, dy, x) => op.mul(dy, op.op('Sinh', [x]))),
  Tanh: unary((op, dy, _x, y, { formulations }) => op.mul(dy, formulations.ramp(op, op.square(y), -1, 1))),
  Asinh: unary((op, dy, x) => op.div(dy, op.sqrt(op.shift(op.square(x), 1)))),
  Acosh: unary((op, dy, x) => op.div(dy, op.sqrt(op.shift(op.square(x), -1)))),
  Atanh: unary((op, dy, x) => op.div(dy, op.sub(op.scalar(1), op.square(x)))),
}

import { isFloat } from '../../tensor.ts'
import type { Emitter } from '../emitter.ts'
import { once } from '../once.ts'
import type { Call } from '../rule.ts'
import { broadcasting, noGradient, type RuleTable, unary } from '../rule.ts'

/** Element-wise arithmetic. Where inputs broadcast, the walker sums the gradients down to their shapes. */
export const arithmetic: RuleTable = {
  Add: broadcasting(({ dy }) => [() => dy]),
  Sub: broadcasting(({ op, dy }) => [() => dy, () => op.neg(dy)]),
  Mul: broadcasting(({ op, dy, x: [a, b] }) => [() => op.mul(dy, b!), () => op.mul(dy, a!)]),
  Div: broadcasting(({ op, dy, x: [, b], y }) => [
    () => op.div(dy, b!),
    () => op.neg(op.mul(dy, op.div(y, b!))),
  ]),
  Pow: broadcasting((call) => [() => powerBase(call), () => powerExponent(call)]),
  /** The quotient's integer part is constant between its steps. */
  Mod: broadcasting(({ op, dy, x: [a, b], y }) => [
    () => dy,
    () => op.neg(op.mul(dy, op.op('Round', [op.div(op.sub(a!, y), b!)]))),
  ]),
  Sum: broadcasting(({ dy }) => [() => dy]),
  Mean: broadcasting(({ op, dy, x }) => [() => op.scale(dy, 1 / x.length)]),
  Max: broadcasting(extreme),
  Min: broadcasting(extreme),
  Where: broadcasting(({ op, dy, x: [condition] }) => [
    null,
    () => op.where(condition!, dy),
    () => op.where(condition!, op.scalar(0), dy),
  ]),

  Neg: unary((op, dy) => op.neg(dy)),
  /** 0 at 0. */
  Abs: unary((op, dy, x) => op.mul(dy, op.op('Sign', [x]))),
  Reciprocal: unary((op, dy, _x, y) => op.neg(op.mul(dy, op.square(y)))),
  Exp: unary((op, dy, _x, y) => op.mul(dy, y)),
  Log: unary((op, dy, x) => op.div(dy, x)),
  Sqrt: unary((op, dy, _x, y) => op.div(op.scale(dy, 0.5), y)),
  /** d erf(x) / dx = 2 / sqrt(pi) exp(-x^2), the factor within the exponential. */
  Erf: unary((op, dy, x) =>
    op.mul(dy, op.exp(op.sub(op.scalar(Math.log(2 / Math.sqrt(Math.PI))), op.square(x)))),
  ),

  Floor: noGradient('constant between integers'),
  Ceil: noGradient('constant between integers'),
  Round: noGradient('constant between integers'),
  Sign: noGradient('constant but for a step at 0'),
}

/** d x^c / dx = c x^(c - 1). */
function powerBase(call: Call): string {
  const { op, dy, x, facts } = call
  const exponent = facts.constant(x[1]!)
  const value = exponent?.size === 1 ? exponent.numbers[0]! : undefined
  if (value === 1) return dy
  if (value === 2) return op.mul(dy, op.scale(x[0]!, 2))
  const c = asFloat(op, call, x[1]!)
  const slope = op.mul(c, op.op('Pow', [x[0]!, op.shift(c, -1)]))
  // x^0 is 1 everywhere, at 0 as well.
  return value === undefined || value === 0
    ? op.mul(dy, op.where(op.op('Equal', [c, op.scalar(0)]), op.scalar(0), slope))
    : op.mul(dy, slope)
}

/** d x^c / dc = x^c log x, which tends to 0 at x = 0 where the power exists. */
function powerExponent({ op, dy, x: [base], y }: Call): string {
  const atZero = op.op('Equal', [base!, op.scalar(0)])
  return op.mul(dy, op.where(atZero, op.scalar(0), op.mul(y, op.op('Log', [base!]))))
}

const asFloat = (op: Emitter, { facts }: Call, value: string): string =>
  isFloat(facts.dtype(value) ?? op.dtype) ? value : op.cast(value)

/** Inputs that tie for the extreme share the gradient evenly, as PyTorch's maximum does. */
function extreme({ op, dy, x, y }: Call) {
  const holds = x.map((input) => () => op.cast(op.op('Equal', [input, y])))
  if (x.length === 1) return [() => dy]
  const shared = once(() => op.div(dy, holds.map((hold) => hold()).reduce(op.add)))
  return holds.map((hold) => () => op.mul(shared(), hold()))
}

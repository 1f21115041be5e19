import { type NoGradient, noGradient, type RuleTable } from '../rule.ts'

const truth: NoGradient = noGradient('true or false')

/** Comparisons and logic: the results are steps. */
export const logic: RuleTable = {
  Equal: truth,
  Greater: truth,
  GreaterOrEqual: truth,
  Less: truth,
  LessOrEqual: truth,
  Not: truth,
  And: truth,
  Or: truth,
  Xor: truth,
  IsNaN: truth,
  IsInf: truth,
  NonZero: noGradient('indices'),
}

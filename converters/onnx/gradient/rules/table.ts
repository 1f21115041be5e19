import type { Node } from '../../graph.ts'
import type { NoGradient, Rule, RuleTable } from '../rule.ts'
import { activations } from './activations.ts'
import { arithmetic } from './arithmetic.ts'
import { attention } from './attention.ts'
import { convolution } from './convolution.ts'
import { einsum } from './einsum.ts'
import { indexing } from './indexing.ts'
import { logic } from './logic.ts'
import { matmul } from './matmul.ts'
import { normalisation } from './normalisation.ts'
import { padding } from './padding.ts'
import { pooling } from './pooling.ts'
import { quantisation } from './quantisation.ts'
import { reduction } from './reduction.ts'
import { resize } from './resize.ts'
import { shape } from './shape.ts'
import { softmax } from './softmax.ts'
import { trigonometry } from './trigonometry.ts'

const FAMILIES: readonly RuleTable[] = [
  arithmetic,
  trigonometry,
  activations,
  softmax,
  matmul,
  einsum,
  attention,
  convolution,
  pooling,
  normalisation,
  reduction,
  shape,
  padding,
  resize,
  indexing,
  quantisation,
  logic,
]

/** Every operator of the standard domain that has a rule, in its form of opset 18 and later. */
export const RULES: ReadonlyMap<string, Rule | NoGradient> = new Map(FAMILIES.flatMap(Object.entries))

export const ruleFor = (node: Node): Rule | NoGradient | undefined =>
  node.domain === '' ? RULES.get(node.opType) : undefined

import type { RuleTable } from '../rule.ts'
import { CONVOLUTION } from './convolution.ts'
import { ELEMENTWISE } from './elementwise.ts'
import { MATRIX } from './matrix.ts'
import { NORMALISATION } from './normalisation.ts'
import { POOLING } from './pooling.ts'
import { REDUCTION } from './reduction.ts'
import { SHAPE } from './shape.ts'

/** Every operator that can be trained through, by its ONNX name. */
export const RULES: RuleTable = {
  ...CONVOLUTION,
  ...POOLING,
  ...NORMALISATION,
  ...ELEMENTWISE,
  ...MATRIX,
  ...REDUCTION,
  ...SHAPE,
}

import { CREATION } from '../../../../converters/tfjs/graph/lower.ts'
import { everyOperator, image } from './suite.ts'

everyOperator('Fillings', CREATION, {
  Fill: (g) => g.node('AddV2', [g.input('x', image), g.node('Fill', [g.ints([6, 3]), g.floats([2], [])])]),
  ZerosLike: (g) => g.node('Maximum', [g.input('x', image), g.node('ZerosLike', [g.weight('w', [6, 3])])]),
  OnesLike: (g) => g.node('Minimum', [g.input('x', image), g.node('OnesLike', [g.weight('w', [6, 3])])]),
})

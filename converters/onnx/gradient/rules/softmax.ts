import { type Call, type RuleTable, rule } from '../rule.ts'

/** In the form of opset 13: along one axis. */
export const softmax: RuleTable = {
  /** y (dy - sum(dy y)). */
  Softmax: rule((call) => {
    const { op, dy, y } = call
    return [
      () => {
        const weighted = op.mul(dy, y)
        return op.sub(weighted, op.mul(y, op.sum(weighted, [axisOf(call)], true)))
      },
    ]
  }),
  /** dy - exp(y) sum(dy). */
  LogSoftmax: rule((call) => {
    const { op, dy, y } = call
    return [() => op.sub(dy, op.mul(op.exp(y), op.sum(dy, [axisOf(call)], true)))]
  }),
}

const axisOf = ({ attributes }: Call): number => attributes.int('axis', -1)

import { float } from '../../../converters/onnx/builder.ts'
import { once } from '../../../converters/onnx/gradient/once.ts'
import type { Override } from '../../../converters/onnx/gradient/overrides.ts'
import { type Call, rule } from '../../../converters/onnx/gradient/rule.ts'
import { fixed, range } from '../../../converters/onnx/gradient/sizes.ts'
import { describe } from '../../../converters/onnx/graph.ts'
import { ZooError } from '../../../manifests/error.ts'

/**
 * The gradient of batch normalisation in closed form (Ioffe & Szegedy 2015, section 3), through the batch's mean and
 * variance where it normalises by them. Sums over the batch are the only work of x's size beside the result itself,
 * and dx is one affine function of dy and x.
 */
export const batchNormalisation: Override = {
  opType: 'BatchNormalization',
  gradient: rule((call) => {
    const { op, x } = call
    const training = call.attributes.int('training_mode', 0) !== 0
    const [, scale, , runningMean, runningVariance] = x as [string, string, string, string, string]
    if (training && call.attributes.float('momentum', 0.9) !== 0)
      throw new ZooError('unsupported-model', `${describe(call.node)} hides the batch's statistics`, {
        hint: 'training needs them as outputs: momentum 0',
      })
    const mean = training ? call.output(1) : runningMean
    const variance = training ? call.output(2) : runningVariance
    const epsilon = call.attributes.float('epsilon', 1e-5)
    const inverse = once(() => op.op('Reciprocal', [op.sqrt(op.shift(variance, epsilon))]))
    const slope = once(() => op.mul(scale, inverse()))
    const dBias = once(() => overBatch(call, call.dy))
    const dScale = once(() => {
      const product = overBatch(call, op.mul(call.dy, x[0]!))
      return op.mul(inverse(), op.sub(product, op.mul(mean, dBias())))
    })
    const direct = () => op.mul(call.dy, perChannel(call, slope()))
    /** -a/M · (sum dy + x̂ · sum dy·x̂), the way through mean and variance. */
    const throughStatistics = () => {
      const { count } = shapeOf(call)
      const perElement = op.scale(slope(), -1 / count)
      const b = op.mul(op.mul(perElement, inverse()), dScale())
      const c = op.sub(op.mul(perElement, dBias()), op.mul(b, mean))
      return affine(call, x[0]!, b, c)
    }
    return [() => (training ? op.add(direct(), throughStatistics()) : direct()), dScale, dBias, null, null]
  }),
}

/** b·x + c with one b and c for each channel: as an operator of its own faster than a product and a sum that broadcast. */
function affine(call: Call, x: string, b: string, c: string): string {
  const { op } = call
  const { channels } = shapeOf(call)
  const [zeros, ones] = [0, 1].map((value) => op.floats([channels], Array(channels).fill(value)))
  return op.op('BatchNormalization', [x, b, c, zeros!, ones!], { epsilon: float(0) })
}

/** Channels, and elements of one channel in the batch. */
function shapeOf({ facts, x }: Call): { channels: number; count: number } {
  const sizes = fixed(facts.sizes(x[0]!), 'batch normalisation')
  const channels = sizes[1]!
  return { channels, count: sizes.reduce((a, b) => a * b, 1) / channels }
}

const overBatch = ({ op, facts, x }: Call, value: string): string =>
  op.sum(value, [0, ...range(facts.sizes(x[0]!).length - 2, 2)], false)

function perChannel({ op, facts, x }: Call, value: string): string {
  const [, channels, ...image] = facts.sizes(x[0]!)
  return op.reshape(value, [channels!, ...image.map(() => 1)])
}

import { activationNamed, leakyRelu, prelu } from '../lowering/activation.ts'
import { unsupported } from '../lowering/lowering.ts'
import type { Value } from '../lowering/value.ts'
import type { NodeCall } from './rule.ts'

/** What a fused node does after its convolution or product. */
export interface Fused {
  readonly bias: Value | undefined
  readonly activate: (y: Value) => Value
}

/** Reads `fused_ops`: a bias or none, then an activation or none. The operands follow the first two inputs. */
export function fused({ l, attributes, inputs }: NodeCall): Fused {
  const names = attributes.texts('fused_ops')
  const operands = inputs.slice(2)
  const bias = names[0] === 'BiasAdd' ? operands.shift() : undefined
  const [name = 'linear', ...others] = names[0] === 'BiasAdd' ? names.slice(1) : names
  if (others.length > 0) throw unsupported(`fused operators ${names.join(', ')}`)
  if (name === 'LeakyRelu')
    return { bias, activate: (y) => leakyRelu(l, y, attributes.float('leakyrelu_alpha', 0.2)) }
  const slope = operands[0]
  if (name === 'Prelu' && slope) return { bias, activate: (y) => prelu(l, y, slope) }
  const activation = activationNamed(name)
  if (activation === undefined) throw unsupported(`the fused operator ${name}`)
  return { bias, activate: (y) => activation(l, y) }
}

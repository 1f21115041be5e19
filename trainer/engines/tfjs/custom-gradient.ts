import * as tf from '@tensorflow/tfjs'

export interface Differentiable {
  readonly value: tf.Tensor
  /** What the gradient needs besides dy: the only tensors that stay in memory until then. */
  readonly saved: readonly tf.Tensor[]
  /** dy and the saved tensors to one gradient for each input. */
  readonly gradient: (dy: tf.Tensor, saved: readonly tf.Tensor[]) => readonly tf.Tensor[]
}

/** `tf.customGrad` with its types made honest: computes `value` off the tape and differentiates it by `gradient`. */
export function withGradient<Inputs extends readonly tf.Tensor[]>(
  inputs: Inputs,
  compute: (...inputs: Inputs) => Differentiable,
): tf.Tensor {
  type Custom = Parameters<typeof tf.customGrad>[0]
  const custom = (...given: unknown[]): unknown => {
    const save = given.pop() as (tensors: tf.Tensor[]) => void
    const { value, saved, gradient } = compute(...(given as unknown as Inputs))
    save([...saved])
    return {
      value,
      gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => {
        const gradients = gradient(dy, kept)
        return gradients.length === 1 ? gradients[0] : gradients
      },
    }
  }
  return tf.customGrad(custom as Custom)(...(inputs as unknown as tf.Tensor[]))
}

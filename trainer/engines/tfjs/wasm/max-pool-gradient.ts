import * as tf from '@tensorflow/tfjs'
import { replaceKernel, stockKernel } from './kernel.ts'

/**
 * The stock kernel looks for each window's maximum starting from the smallest *positive* float,
 * so that a window whose maximum is not positive loses its gradient. Here it sees the input moved above 0,
 * which leaves every maximum where it is. (Found in 4.22; no upstream issue was known to us.)
 * Ties: the last maximum of a window in row-major order takes the gradient.
 */
export function repairMaxPoolGradient(): void {
  const stock = stockKernel('MaxPoolGrad')
  replaceKernel('MaxPoolGrad', (inputs, attributes) => {
    const input = inputs.input!
    return stock({ ...inputs, input: tf.add(tf.sub(input, tf.min(input)), 1) }, attributes)
  })
}

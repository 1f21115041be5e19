import type { Norm } from './norm.ts'
import { uniforms } from './random.ts'

/** Ties: a gradient of exactly 0 moves nothing. */
export const linf: Norm = {
  name: 'linf',

  distance(a, b) {
    let most = 0
    for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!))
    return most
  },

  dual(gradient) {
    let sum = 0
    for (let i = 0; i < gradient.length; i++) sum += Math.abs(gradient[i]!)
    return sum
  },

  project(x, origin, eps) {
    for (let i = 0; i < x.length; i++) {
      const low = Math.max(origin[i]! - eps, 0)
      const high = Math.min(origin[i]! + eps, 1)
      x[i] = Math.min(Math.max(x[i]!, low), high)
    }
  },

  ascend(x, gradient, length) {
    // Signs of gradients are as good as random: branches on them are mispredicted, and Math.sign takes five times as long.
    const bits = new Int32Array(gradient.buffer, gradient.byteOffset, gradient.length)
    for (let i = 0; i < x.length; i++) {
      const magnitude = bits[i]! << 1
      const nonZero = (magnitude | -magnitude) >>> 31
      x[i]! += length * ((bits[i]! >> 31) | 1) * nonZero
    }
  },

  sample(x, origin, eps, key) {
    const noise = uniforms(key, x.length)
    for (let i = 0; i < x.length; i++) x[i] = origin[i]! + eps * (2 * noise[i]! - 1)
  },

  surface(x, origin, eps, key) {
    const noise = uniforms(key, x.length)
    let most = 1e-12
    for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(2 * noise[i]! - 1))
    for (let i = 0; i < x.length; i++) x[i] = origin[i]! + (eps * (2 * noise[i]! - 1)) / most
    linf.project(x, origin, eps)
  },
}

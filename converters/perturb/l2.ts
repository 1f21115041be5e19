import type { Norm } from './norm.ts'
import { normals, uniforms } from './random.ts'

const TINY = 1e-12

export const l2: Norm = {
  name: 'l2',

  distance(a, b) {
    let sum = 0
    for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
    return Math.sqrt(sum)
  },

  dual: size,

  /**
   * Scales into the ball, then cuts to [0,1]. The cut only shortens the way from an origin inside [0,1], so both hold;
   * it is the projection that AutoAttack, Foolbox and others use, not the nearest point of the intersection.
   */
  project(x, origin, eps) {
    const length = l2.distance(x, origin)
    const scale = length > eps ? eps / length : 1
    for (let i = 0; i < x.length; i++) {
      const centre = origin[i]!
      const value = scale === 1 ? x[i]! : centre + scale * (x[i]! - centre)
      x[i] = Math.min(Math.max(value, 0), 1)
    }
  },

  /** Divides by the gradient's length however short it is: where a model is certain, that is 1e-30. */
  ascend(x, gradient, length) {
    const steepness = size(gradient)
    if (steepness === 0) return
    const scale = length / steepness
    for (let i = 0; i < x.length; i++) x[i]! += scale * gradient[i]!
  },

  sample(x, origin, eps, key) {
    const radius = eps * uniforms([...key, 1], 1)[0]! ** (1 / x.length)
    outward(x, origin, radius, normals([...key, 0], x.length))
  },

  surface(x, origin, eps, key) {
    outward(x, origin, eps, normals(key, x.length))
    l2.project(x, origin, eps)
  },
}

function outward(x: Float32Array, origin: Float32Array, radius: number, direction: Float32Array): void {
  const scale = radius / (size(direction) + TINY)
  for (let i = 0; i < x.length; i++) x[i] = origin[i]! + scale * direction[i]!
}

function size(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return Math.sqrt(sum)
}

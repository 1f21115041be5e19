import type { ResNetSpec } from '../../manifests/schema/recipe.ts'
import type { Feature, Layers } from './layers.ts'
import { norm } from './norms.ts'

/**
 * A feature denoising block (Xie et al. 2019, section 3): x + norm(1x1(means over all positions of x)), starting as the
 * identity. `dot` weighs positions by their dot products, divided by their number; `gaussian` by the softmax of the
 * scaled dot products of two 1x1 embeddings of half the channels.
 */
export function denoised(
  layers: Layers,
  x: Feature,
  block: string,
  kind: NonNullable<ResNetSpec['denoising']>,
): Feature {
  const { builder } = layers
  const columns = (feature: Feature): string =>
    builder.op('Reshape', [feature.value, builder.int64s([0, feature.channels, -1])])
  const transposed = (value: string): string => builder.op('Transpose', [value], { perm: [0, 2, 1] })
  const positions = x.height * x.width
  const flat = columns(x)
  let means: string
  if (kind === 'dot') {
    // (x xᵀ) x rather than x (xᵀ x): one is [C, C], the other [positions, positions].
    const products = builder.op('MatMul', [flat, transposed(flat)])
    means = builder.op('Mul', [builder.op('MatMul', [products, flat]), builder.scalar(1 / positions)])
  } else {
    const half = Math.max(1, x.channels >> 1)
    const [theta, phi] = ['theta', 'phi'].map((name) =>
      columns(layers.convolution(x, `${block}.${name}`, half, 1)),
    ) as [string, string]
    const scores = builder.op('Mul', [
      builder.op('MatMul', [transposed(theta), phi]),
      builder.scalar(1 / Math.sqrt(half)),
    ])
    const weights = builder.op('Softmax', [scores], { axis: -1 })
    means = builder.op('MatMul', [flat, transposed(weights)])
  }
  const value = builder.op('Reshape', [means, builder.int64s([0, x.channels, x.height, x.width])])
  const mixed = layers.convolution({ ...x, value }, `${block}.conv`, x.channels, 1)
  const normal = norm(layers, mixed, `${block}.norm`, 0)
  return { ...x, value: builder.op('Add', [x.value, normal.value], {}, { name: `${block}.sum` }) }
}

import { float } from '../../converters/onnx/builder.ts'
import { ZooError } from '../../manifests/error.ts'
import { constant } from './initialise.ts'
import type { Branch, Feature, Layers } from './layers.ts'

const EPSILON = 1e-5

/**
 * The network's norm after a convolution. `scale` is its first gamma: 0 at the end of a residual path,
 * so that a block starts as the identity (Goyal et al. 2017).
 */
export function norm(layers: Layers, x: Feature, layer: string, scale = 1): Feature {
  const { spec } = layers
  switch (spec.norm.kind) {
    case 'batch':
      return batchNorm(layers, x, layer, scale, 'main', 'main')
    case 'mixture': {
      const { separate } = spec.norm
      const affine = separate === 'statistics' ? 'main' : layers.branch
      const statistics = separate === 'affine' ? 'main' : layers.branch
      return batchNorm(layers, x, layer, scale, affine, statistics)
    }
    case 'group':
      return groupNorm(layers, x, layer, scale, Math.min(spec.norm.groups, x.channels))
    case 'instance':
      return groupNorm(layers, x, layer, scale, x.channels)
    case 'none':
      // Without normalisation what is left is the affine part.
      return affine(layers, x, layer, scale)
  }
}

/** Inference form: normalises by the running statistics. Mixture batch norm is nothing but the branches in these names. */
function batchNorm(
  layers: Layers,
  x: Feature,
  layer: string,
  scale: number,
  affine: Branch,
  statistics: Branch,
): Feature {
  const dims = [x.channels]
  const inputs = [
    x.value,
    layers.weight(`${layer}/${affine}/scale`, dims, constant(scale)),
    layers.weight(`${layer}/${affine}/bias`, dims, constant(0)),
    layers.weight(`${layer}/${statistics}/mean`, dims, constant(0)),
    layers.weight(`${layer}/${statistics}/variance`, dims, constant(1)),
  ]
  const value = layers.builder.op('BatchNormalization', inputs, { epsilon: float(EPSILON) }, { name: layer })
  return { ...x, value }
}

/**
 * Group norm (Wu & He 2018) out of instance normalisation over the groups, as exporters write it for opset 18;
 * as many groups as channels make it instance norm.
 */
function groupNorm(layers: Layers, x: Feature, layer: string, scale: number, groups: number): Feature {
  const { builder } = layers
  if (x.channels % groups !== 0)
    throw new ZooError(
      'invalid-manifest',
      `${groups} groups don't divide the ${x.channels} channels of ${layer}`,
    )
  const [ones, zeros] = [
    builder.constant('float32', [groups], Array(groups).fill(1)),
    builder.constant('float32', [groups], Array(groups).fill(0)),
  ]
  const grouped = builder.op('Reshape', [x.value, builder.int64s([0, groups, -1])])
  const normal = builder.op('InstanceNormalization', [grouped, ones, zeros], { epsilon: float(EPSILON) })
  const value = builder.op('Reshape', [normal, builder.int64s([0, x.channels, x.height, x.width])])
  return affine(layers, { ...x, value }, layer, scale)
}

function affine(layers: Layers, x: Feature, layer: string, scale: number): Feature {
  const dims = [x.channels, 1, 1]
  const gamma = layers.weight(`${layer}/main/scale`, dims, constant(scale))
  const beta = layers.weight(`${layer}/main/bias`, dims, constant(0))
  const scaled = layers.builder.op('Mul', [x.value, gamma])
  return { ...x, value: layers.builder.op('Add', [scaled, beta], {}, { name: layer }) }
}

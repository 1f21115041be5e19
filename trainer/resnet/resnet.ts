import { GraphBuilder } from '../../converters/onnx/builder.ts'
import { emptyGraph, type Graph } from '../../converters/onnx/graph.ts'
import type { Tensor } from '../../converters/onnx/tensor.ts'
import { ZooError } from '../../manifests/error.ts'
import type { ResNetSpec } from '../../manifests/schema/recipe.ts'
import { denoised } from './denoise.ts'
import { stages } from './depths.ts'
import { constant, gaussian } from './initialise.ts'
import { type Branch, type Feature, Layers, padding } from './layers.ts'
import { norm } from './norms.ts'

export interface ResNetRequest {
  readonly spec: ResNetSpec
  /** Channels, height, width of the images. */
  readonly shape: readonly [number, number, number]
  readonly classes: number
  readonly branch: Branch
  /** Weights by name; those it lacks get first values and are added, so that the graphs of both branches share them. */
  readonly weights: Map<string, Tensor>
  readonly seed: number
}

/** Branches that a network with this norm has. */
export const branchesOf = (spec: ResNetSpec): readonly Branch[] =>
  spec.norm.kind === 'mixture' ? ['clean', 'adv'] : ['main']

/**
 * A residual network, post-activation (He et al. 2016, with the stride in the bottleneck's 3x3), in its inference form:
 * `image` [N, C, H, W] in [0,1] to `logits` [N, classes].
 *
 * @throws ZooError `invalid-manifest` where the specification fits no network
 */
export function resnet(request: ResNetRequest): Graph {
  const { spec, shape, classes, branch } = request
  const [channels, height, width] = shape
  const graph = emptyGraph(`resnet${spec.depth}`)
  graph.inputs.push({ name: 'image', dtype: 'float32', dims: ['N', channels, height, width] })
  const builder = new GraphBuilder(graph)
  const layers = new Layers(builder, spec, branch, request.weights, request.seed)

  let x = normalised(layers, { value: 'image', channels, height, width })
  x = spec.form === 'imagenet' ? imagenetStem(layers, x) : smallStem(layers, x)
  for (const [stage, blocks] of stages(spec).entries()) {
    for (let block = 0; block < blocks; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1
      x = residual(layers, x, `stage${stage + 1}.block${block + 1}`, spec.width << stage, stride)
    }
    if (spec.denoising) x = denoised(layers, x, `stage${stage + 1}.denoise`, spec.denoising)
  }

  const pooled = builder.op('Flatten', [builder.op('GlobalAveragePool', [x.value])])
  const kernel = layers.weight('classifier/kernel', [classes, x.channels], gaussian(0.01))
  const bias = layers.weight('classifier/bias', [classes], constant(0))
  builder.ops('Gemm', [pooled, kernel, bias], { transB: 1 }, { name: 'classifier', outputs: ['logits'] })
  graph.outputs.push({ name: 'logits', dtype: 'float32', dims: ['N', classes] })
  return graph
}

/** The image as the network wants it: (image - mean) / std. */
function normalised(layers: Layers, image: Feature): Feature {
  const { builder, spec } = layers
  const constantOf = (values: readonly number[], what: string): string => {
    if (values.length !== 1 && values.length !== image.channels)
      throw new ZooError(
        'invalid-manifest',
        `${what} has ${values.length} values for ${image.channels} channels`,
      )
    return builder.constant('float32', [values.length, 1, 1], values)
  }
  let { value } = image
  if (spec.mean.length > 0) value = builder.op('Sub', [value, constantOf(spec.mean, 'mean')])
  if (spec.std.length > 0) value = builder.op('Div', [value, constantOf(spec.std, 'std')])
  return { ...image, value }
}

function smallStem(layers: Layers, x: Feature): Feature {
  const stem = layers.convolution(x, 'stem.conv', layers.spec.width, 3, layers.spec.stemStride)
  return layers.activation(norm(layers, stem, 'stem.norm'), 'stem.activation')
}

function imagenetStem(layers: Layers, x: Feature): Feature {
  const stem = layers.convolution(x, 'stem.conv', layers.spec.width, 7, 2)
  const active = layers.activation(norm(layers, stem, 'stem.norm'), 'stem.activation')
  const [top, bottom] = padding(layers.spec, active.height, 3, 2)
  const [left, right] = padding(layers.spec, active.width, 3, 2)
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [top, left, bottom, right] }
  const value = layers.builder.op('MaxPool', [active.value], attributes, { name: 'stem.pool' })
  return { ...active, value, height: Math.ceil(active.height / 2), width: Math.ceil(active.width / 2) }
}

/** A block: convolutions beside a shortcut, which is a projection where the shape changes. `width`: of the 3x3 convolutions. */
function residual(layers: Layers, x: Feature, block: string, width: number, stride: number): Feature {
  // Channels, kernel, stride of each convolution on the residual path.
  const path: readonly (readonly [number, number, number])[] =
    layers.spec.block === 'bottleneck'
      ? [
          [width, 1, 1],
          [width, 3, stride],
          [4 * width, 1, 1],
        ]
      : [
          [width, 3, stride],
          [width, 3, 1],
        ]
  let y = x
  for (const [i, [channels, kernel, convStride]] of path.entries()) {
    const last = i === path.length - 1
    const convolved = layers.convolution(y, `${block}.conv${i + 1}`, channels, kernel, convStride)
    y = norm(layers, convolved, `${block}.norm${i + 1}`, last ? 0 : 1)
    if (!last) y = layers.activation(y, `${block}.activation${i + 1}`)
  }
  const projected = stride > 1 || x.channels !== y.channels
  const shortcut = projected
    ? norm(
        layers,
        layers.convolution(x, `${block}.shortcut`, y.channels, 1, stride),
        `${block}.shortcut.norm`,
      )
    : x
  const sum = layers.builder.op('Add', [y.value, shortcut.value], {}, { name: `${block}.sum` })
  return layers.activation({ ...y, value: sum }, `${block}.out`)
}

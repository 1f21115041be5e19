import { ZooError } from '../../manifests/error.ts'
import type { ResNetSpec } from '../../manifests/schema/recipe.ts'

interface ImageNetDepth {
  readonly blocks: readonly [number, number, number, number]
  /** `published` by He et al. or Xie & Yuille's code; `ours` where the paper gives the depth but not the split. */
  readonly split: 'published' | 'ours'
}

/**
 * Bottleneck blocks in each stage of the ImageNet form: depth = 3·blocks + 2.
 * Every stage costs the same arithmetic per block, so the paper's FLOPs don't tell the split beyond 200;
 * ours puts the additional blocks into the third stage, as 101, 152 and 200 do. 56 is the shallow end of our depth study.
 */
export const IMAGENET_DEPTHS: Readonly<Record<number, ImageNetDepth>> = {
  50: { blocks: [3, 4, 6, 3], split: 'published' },
  56: { blocks: [3, 4, 8, 3], split: 'ours' },
  101: { blocks: [3, 4, 23, 3], split: 'published' },
  152: { blocks: [3, 8, 36, 3], split: 'published' },
  200: { blocks: [3, 24, 36, 3], split: 'published' },
  338: { blocks: [3, 24, 82, 3], split: 'ours' },
  518: { blocks: [3, 24, 142, 3], split: 'ours' },
  638: { blocks: [3, 24, 182, 3], split: 'ours' },
}

/** Convolutions on a block's residual path. */
const CONVOLUTIONS = { basic: 2, bottleneck: 3 } as const

/**
 * Blocks per stage.
 *
 * @throws ZooError `invalid-manifest` for a depth that the form doesn't have
 */
export function stages(spec: ResNetSpec): readonly number[] {
  if (spec.form === 'imagenet') {
    const known = IMAGENET_DEPTHS[spec.depth]
    if (known && spec.block === 'bottleneck') return known.blocks
    throw new ZooError(
      'invalid-manifest',
      `there is no ${spec.block} ResNet-${spec.depth} of the imagenet form`,
      {
        hint: `bottleneck depths are ${Object.keys(IMAGENET_DEPTHS).join(', ')}`,
      },
    )
  }
  const perStage = (spec.depth - 2) / (3 * CONVOLUTIONS[spec.block])
  if (Number.isInteger(perStage) && perStage > 0) return [perStage, perStage, perStage]
  throw new ZooError('invalid-manifest', `there is no ${spec.block} ResNet-${spec.depth} of the small form`, {
    hint: 'basic depths are 8, 14, 20, ... (6n+2), bottleneck depths 11, 20, 29, ... (9n+2)',
  })
}

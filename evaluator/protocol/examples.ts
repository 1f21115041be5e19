import type { DataSet } from '../../converters/data/dataset.ts'
import { rowOf } from '../../converters/perturb/pgd.ts'
import type { Key } from '../../converters/perturb/random.ts'
import { ZooError } from '../../manifests/error.ts'
import type { Example } from '../attacks/attack.ts'
import type { AttackedModel } from './model.ts'
import type { Protocol } from './plan.ts'

/** Examples of a block, with their indices and labels as the data set has them. */
export interface Block {
  readonly examples: Example[]
  readonly labels: number[]
}

/**
 * Reads examples and checks that this model can be asked about them.
 *
 * @param keyFor where an example's randomness starts, from its index
 * @throws ZooError `invalid-data` for labels or targets that the model has no output for, elements outside [0,1],
 * or a radius missing
 */
export async function readExamples(
  data: DataSet,
  rows: readonly number[],
  protocol: Protocol,
  model: AttackedModel,
  keyFor: (index: number) => Key,
): Promise<Block> {
  const batch = await data.read(rows)
  const size = data.shape.reduce((product, dim) => product * dim, 1)
  const offset = protocol.model.input.labelOffset
  const examples = rows.map((index, row): Example => {
    const origin = rowOf(batch.images, row, size)
    checkRange(origin, data.name, index)
    const label = classOf(batch.labels[row]!, 'label', index)
    const target = batch.targets ? classOf(batch.targets[row]!, 'target', index) : null
    const eps = protocol.threat.eps ?? batch.eps?.[row]
    if (eps === undefined)
      throw new ZooError('invalid-data', `image ${index} of ${data.name} has no eps of its own`, {
        hint: 'give --eps',
      })
    if (protocol.threat.norm === 'linf' && eps > 1)
      throw new ZooError(
        'invalid-data',
        `image ${index} of ${data.name} has an eps of ${eps}, beyond the range [0,1]`,
        {
          hint: 'eps is a fraction of that range: divide by 255',
        },
      )
    return { row, origin, label, target, eps, key: keyFor(index) }
  })
  return { examples, labels: Array.from(batch.labels) }

  function classOf(given: number, what: string, index: number): number {
    const modelClass = given + offset
    if (given >= 0 && modelClass >= 0 && modelClass < model.classes) return modelClass
    throw new ZooError(
      'invalid-data',
      `${what} ${given} of image ${index} in ${data.name} is no class of the model, which has ${model.classes}`,
      { hint: "is this the right data set? --label-offset K shifts labels to the model's classes" },
    )
  }
}

function checkRange(image: Float32Array, name: string, index: number): void {
  const stray = image.find((value) => !(value >= 0 && value <= 1))
  if (stray !== undefined)
    throw new ZooError(
      'invalid-data',
      `image ${index} of ${name} has an element of ${stray}, outside [0,1]`,
      {
        hint: "give pixels as uint8, or as float32 in [0,1]; the model's own scaling belongs in --range, --mean and --std",
      },
    )
}

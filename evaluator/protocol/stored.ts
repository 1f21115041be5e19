import type { DataSet } from '../../converters/data/dataset.ts'
import { openData } from '../../converters/data/open.ts'
import { rowOf } from '../../converters/perturb/pgd.ts'
import { decodePerturbations, perturbed } from './adversarial.ts'
import type { Ledger } from './ledger.ts'
import type { Plan } from './plan.ts'
import type { UnitResult } from './unit.ts'

/** An image that a unit broke, as it was judged. */
export interface StoredImage {
  readonly unit: UnitResult
  /** In the data set. */
  readonly index: number
  /** As the model numbers it. */
  readonly label: number
  /** What the model said when it was judged. */
  readonly prediction: number
  readonly eps: number
  readonly origin: Float32Array
  readonly image: Float32Array
}

/** The data that a plan was made for, resized as it says. */
export function dataOf({ data, protocol: { model, classes } }: Plan): Promise<DataSet> {
  const { size, resize, labelOffset } = model.input
  return openData(data, { size, resize, labelOffset, classes })
}

/** The images that a unit broke, in the order of its rows. */
export async function storedImages(
  unit: UnitResult,
  ledger: Ledger,
  data: DataSet,
  { protocol }: Plan,
): Promise<StoredImage[]> {
  if (!unit.adversarial) return []
  const { rows } = unit.adversarial
  const size = data.shape.reduce((product, extent) => product * extent, 1)
  const batch = await data.read(rows)
  const perturbations = decodePerturbations(await ledger.adversarial(unit), rows.length, size)
  const last = unit.outcomes.at(-1)!
  return rows.map((index, i) => {
    const origin = rowOf(batch.images, i, size)
    return {
      unit,
      index,
      label: batch.labels[i]! + protocol.model.input.labelOffset,
      prediction: last.prediction[unit.rows.indexOf(index)]!,
      eps: protocol.threat.eps ?? batch.eps![i]!,
      origin,
      image: perturbed(origin, perturbations[i]!),
    }
  })
}

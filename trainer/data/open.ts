import type { DataSet } from '../../converters/data/dataset.ts'
import { openData } from '../../converters/data/open.ts'
import { ZooError } from '../../manifests/error.ts'
import type { Recipe } from '../../manifests/schema/recipe.ts'
import { isClassFolders, openClassFolders } from './class-folders.ts'
import type { TrainingSet } from './training-set.ts'

/**
 * Data as recipes name it: a folder with a folder of photos for each class, or whatever `open` opens; by default what
 * needs no download.
 */
export const openTrainingSet = async (
  place: string,
  recipe: Recipe,
  open: (place: string) => Promise<DataSet> = openData,
): Promise<TrainingSet> =>
  (await isClassFolders(place)) ? openClassFolders(place, recipe.data.size) : open(place)

/**
 * That validation measures what is trained: a class that one of two folders lacks would shift the labels of the others.
 *
 * @throws ZooError `invalid-data` where images or classes differ
 */
export function checkAlike(train: DataSet, validation: DataSet): void {
  const differ = (what: string): ZooError =>
    new ZooError('invalid-data', `${train.name} and ${validation.name}, its validation, differ in ${what}`)
  if (train.shape.join() !== validation.shape.join())
    throw differ(`shape: [${train.shape}] and [${validation.shape}]`)
  if (!train.classes || !validation.classes) return
  const alone = [
    ...train.classes.filter((name) => !validation.classes!.includes(name)),
    ...validation.classes.filter((name) => !train.classes!.includes(name)),
  ]
  if (alone.length > 0) throw differ(`classes: only one has ${alone.slice(0, 5).join(', ')}`)
  if (train.classes.join('\n') !== validation.classes.join('\n')) throw differ('the order of their classes')
}

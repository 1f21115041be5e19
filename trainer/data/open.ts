import type { DataSet } from '../../converters/data/dataset.ts'
import { openData } from '../../converters/data/open.ts'
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

import type { DataSet } from '../converters/data/dataset.ts'
import type { Provider } from '../converters/onnx/runtime/session.ts'
import { type Progress, silent } from '../manifests/progress.ts'
import type { Recipe } from '../manifests/schema/recipe.ts'
import { readCheckpoint } from './checkpoint/checkpoint.ts'
import { Batches } from './data/batches.ts'
import { checkAlike, openTrainingSet } from './data/open.ts'
import type { TrainingSet } from './data/training-set.ts'
import { type Backend, openEngine } from './engines/open.ts'
import { type Machinery, settleMachinery } from './machinery.ts'
import { type Origin, openOrigin, startedFrom } from './origin.ts'
import { claimFolder, networkOf, originIn, planRun } from './run.ts'
import { Training, type TrainingParts, type TrainSummary } from './training.ts'

export interface TrainOptions {
  /** The run's folder. A run that was interrupted there goes on where its last checkpoint is. */
  readonly out: string
  readonly backend?: Backend
  /**
   * Processes that share every batch, each with batch norm of its own, on GPUs one for each; `auto` takes as many as there
   * are cores where that is faster. By default one.
   */
  readonly processes?: number | 'auto' | undefined
  /** Where the backend `ort` computes; by default on the CPU. */
  readonly provider?: Provider | undefined
  /**
   * What to start from: the folder of a run, whose weights the recipe's network takes by name, or an .onnx file, which
   * is the network of a recipe of the family `given`.
   */
  readonly from?: Origin | undefined
  /** Opens the recipe's data; by default what `openData` finds without downloading. */
  readonly open?: (data: string) => Promise<DataSet>
  /** Aborted: a checkpoint is written after the step at hand, and training ends with `interrupted`. */
  readonly signal?: AbortSignal
}

/**
 * Trains a recipe. The weights are a function of recipe, data, backend and number of processes, which are kept in the
 * run's folder: an interrupted run that is resumed ends with the same bits as one that wasn't.
 *
 * @throws ZooError `conflict` (the folder holds another run), `training-diverged`, `interrupted`, `integrity`
 *   (damaged checkpoint), `backend-unavailable`, and what opening the data throws
 */
export async function train(
  recipe: Recipe,
  options: TrainOptions,
  progress: Progress = silent,
): Promise<TrainSummary> {
  const opened: TrainingSet[] = []
  const open = async (place: string): Promise<TrainingSet> => {
    const data = await openTrainingSet(place, recipe, options.open)
    opened.push(data)
    return data
  }
  try {
    return await trainOn(await open(recipe.data.train), open, recipe, options, progress)
  } finally {
    for (const data of opened) await data.close?.()
  }
}

async function trainOn(
  data: TrainingSet,
  open: (place: string) => Promise<TrainingSet>,
  recipe: Recipe,
  options: TrainOptions,
  progress: Progress,
): Promise<TrainSummary> {
  const { out } = options
  const validation = recipe.data.validation ? await open(recipe.data.validation) : undefined
  if (validation) checkAlike(data, validation)
  const from = options.from && (await openOrigin(options.from, recipe, data))
  const run = planRun(recipe, data, from?.identity ?? (await originIn(out)))
  await claimFolder(out, run)
  await from?.settle(out)
  const network = startedFrom(await networkOf(run, out), from?.weights)
  const batches = new Batches(data, recipe.batch, recipe.seed, recipe.data.augmentation)
  const partsWith = async ({ backend, processes }: Machinery): Promise<TrainingParts> => {
    const engine = await openEngine(backend, {
      weights: network.weights,
      statisticsMomentum: recipe.batchNorm.momentum,
      recompute: recipe.recompute,
      processes,
      ...(options.provider && { provider: options.provider }),
    })
    return { run, out, network, engine, processes, batches, validation }
  }
  const machinery = await settleMachinery(out, options, async (machinery) => {
    const parts = await partsWith(machinery)
    try {
      return await new Training(parts).rehearse()
    } finally {
      parts.engine.dispose()
    }
  })
  const checkpoint = await readCheckpoint(out)
  const parts = await partsWith(machinery)
  try {
    const training = new Training(parts)
    if (checkpoint) await training.resume(checkpoint)
    return await training.toTheEnd(progress, options.signal)
  } finally {
    parts.engine.dispose()
  }
}

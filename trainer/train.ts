import { setImmediate as breathe } from 'node:timers/promises'
import type { DataSet } from '../converters/data/dataset.ts'
import type { Provider } from '../converters/onnx/runtime/session.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { ZooError } from '../manifests/error.ts'
import { type Progress, silent } from '../manifests/progress.ts'
import type { Recipe } from '../manifests/schema/recipe.ts'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint/checkpoint.ts'
import { Batches } from './data/batches.ts'
import { openTrainingSet } from './data/open.ts'
import type { TrainingSet } from './data/training-set.ts'
import type { Engine } from './engines/engine.ts'
import { BACKENDS, type Backend, openEngine } from './engines/open.ts'
import { History, type HistoryRow } from './history.ts'
import type { Figures, MethodContext } from './methods/method.ts'
import { stepOf } from './methods/table.ts'
import type { Network } from './network.ts'
import { type Origin, openOrigin, startedFrom } from './origin.ts'
import { writeReport } from './report.ts'
import { claimFolder, digest, networkOf, originIn, planRun, type Run } from './run.ts'
import { learningRateAt, stepsOf } from './schedule.ts'
import { validator } from './validate.ts'

export interface TrainOptions {
  /** The run's folder. A run that was interrupted there goes on where its last checkpoint is. */
  readonly out: string
  readonly backend?: Backend
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

export interface TrainSummary {
  readonly out: string
  readonly recipe: string
  readonly backend: string
  readonly steps: number
  readonly images: number
  /** Over all sittings of the run. */
  readonly seconds: number
  /** Why the method ended the training before its time, if it did. */
  readonly finished?: string
  /** The last figures of the history: loss, accuracies. */
  readonly figures: Figures
}

/**
 * Trains a recipe. The weights are a function of recipe, data and backend: an interrupted run that is resumed
 * ends with the same bits as one that wasn't.
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
  const from = options.from && (await openOrigin(options.from, recipe, data))
  const run = planRun(recipe, data, from?.identity ?? (await originIn(options.out)))
  await claimFolder(options.out, run)
  await from?.settle(options.out)
  const network = startedFrom(await networkOf(run, options.out), from?.weights)
  const batches = new Batches(data, recipe.batch, recipe.seed, recipe.data.augmentation)
  const checkpoint = await readCheckpoint(options.out)
  const engine = await openEngine(backendFor(options.backend ?? 'auto', checkpoint), {
    weights: network.weights,
    statisticsMomentum: recipe.batchNorm.momentum,
    recompute: recipe.recompute,
    ...(options.provider && { provider: options.provider }),
  })
  try {
    const validationData = recipe.data.validation ? await open(recipe.data.validation) : undefined
    const training = new Training(run, options.out, network, engine, batches, validationData)
    if (checkpoint) await training.resume(checkpoint)
    return await training.toTheEnd(progress, options.signal)
  } finally {
    engine.dispose()
  }
}

/** Left to choose, a run goes on where it began: another backend would round otherwise. */
const backendFor = (wanted: Backend, checkpoint: Checkpoint | undefined): Backend =>
  wanted === 'auto' && checkpoint
    ? (BACKENDS.find((backend) => checkpoint.backend.split('-')[0] === backend) ?? wanted)
    : wanted

class Training {
  readonly #run: Run
  readonly #out: string
  readonly #network: Network
  readonly #engine: Engine
  readonly #batches: Batches
  readonly #total: number
  readonly #consistentFrom: number
  readonly #history = new History()
  readonly #memory = new Map<string, Tensor>()
  readonly #validate: (() => Promise<Figures>) | undefined
  readonly #validateEvery: number
  /** Batches done, and how many of them wait in the accumulated gradient. */
  #step = 0
  #waiting = 0
  /** Why the method ended the training early, if it did. */
  #finished: string | undefined
  #seconds = 0

  constructor(
    run: Run,
    out: string,
    network: Network,
    engine: Engine,
    batches: Batches,
    validation: DataSet | undefined,
  ) {
    const { recipe } = run
    this.#run = run
    this.#out = out
    this.#network = network
    this.#engine = engine
    this.#batches = batches
    const { perEpoch } = batches
    const { accumulate } = recipe.optimiser
    this.#total = Math.max(1, Math.round(stepsOf(recipe.duration, perEpoch) / accumulate)) * accumulate
    const { consistentOver } = recipe.batchNorm
    this.#consistentFrom = consistentOver
      ? this.#total - stepsOf(consistentOver, perEpoch)
      : Number.POSITIVE_INFINITY
    this.#validate =
      recipe.validation && validation
        ? async () => ({
            ...(await validator(
              network,
              engine,
              validation,
              recipe.validation!,
              recipe.batch,
              recipe.seed,
            )()),
          })
        : undefined
    this.#validateEvery = recipe.validation ? Math.max(1, stepsOf(recipe.validation.every, perEpoch)) : 0
  }

  async resume(checkpoint: Checkpoint): Promise<void> {
    if (checkpoint.plan !== digest(this.#run))
      throw new ZooError('conflict', `the checkpoint in ${this.#out} is of another run`)
    await this.#engine.load(checkpoint.tensors)
    for (const [name, tensor] of checkpoint.tensors)
      if (name.startsWith('method/')) this.#memory.set(name.slice('method/'.length), tensor)
    this.#step = checkpoint.step
    this.#seconds = checkpoint.seconds
    this.#finished = checkpoint.finished
    this.#history.restore(checkpoint.history)
  }

  async toTheEnd(progress: Progress, signal?: AbortSignal): Promise<TrainSummary> {
    const { recipe } = this.#run
    const step = await stepOf(recipe.method, this.#context())
    const { perEpoch } = this.#batches
    const interval = recipe.checkpointMinutes * 60_000
    let saved = Date.now()
    while (this.#step < this.#total && this.#finished === undefined) {
      const began = performance.now()
      const learningRate = this.#learningRate()
      const figures = await step(await this.#batches.at(this.#step))
      if (!Object.values(figures).every(Number.isFinite)) throw this.#diverged(figures)
      this.#step++
      const trained = (performance.now() - began) / 1000
      const validated =
        this.#validate && (this.#step % this.#validateEvery === 0 || this.#step === this.#total)
          ? await this.#validate()
          : undefined
      this.#seconds += (performance.now() - began) / 1000
      this.#history.add({
        step: this.#step,
        epoch: this.#step / perEpoch,
        imagesPerSecond: recipe.batch / trained,
        learningRate,
        ...figures,
        ...validated,
      })
      progress({
        stage: `train ${recipe.name}`,
        done: this.#step,
        total: this.#total,
        unit: 'steps',
        figures: this.#history.latest(),
      })
      // Signals and timers get their turn: backends in this process block it while they compute.
      await breathe()
      const finished = this.#step === this.#total || this.#finished !== undefined
      // An accumulated gradient is not part of a checkpoint.
      if (this.#waiting > 0) continue
      if (finished || signal?.aborted || this.#step % perEpoch === 0 || Date.now() - saved > interval) {
        await this.#save()
        saved = Date.now()
      }
      if (signal?.aborted && !finished)
        throw new ZooError('interrupted', `stopped after ${this.#step} of ${this.#total} steps`, {
          hint: 'the same command again goes on from there',
        })
    }
    return this.#summary()
  }

  #context(): MethodContext {
    const { recipe } = this.#run
    return {
      network: this.#network,
      engine: this.#engine,
      seed: recipe.seed,
      examples: this.#run.data.size,
      stepsPerEpoch: this.#batches.perEpoch,
      finish: (reason) => {
        this.#finished = reason
      },
      labelSmoothing: recipe.labelSmoothing,
      memory: this.#memory,
      trained: (objective) => (this.#step < this.#consistentFrom ? objective.training : objective.inference),
      update: async () => {
        const { momentum, nesterov, weightDecay, accumulate, averaging } = recipe.optimiser
        if (++this.#waiting < accumulate) return
        this.#waiting = 0
        await this.#engine.update({
          learningRate: this.#learningRate(),
          momentum,
          nesterov,
          weightDecay,
          gradientScale: 1 / accumulate,
          ...(averaging === undefined ? {} : { averaging }),
        })
      },
    }
  }

  #learningRate(): number {
    return learningRateAt(this.#run.recipe.optimiser, this.#step, this.#total, this.#batches.perEpoch)
  }

  async #save(): Promise<void> {
    const tensors = await this.#engine.state()
    for (const [name, tensor] of this.#memory) tensors.set(`method/${name}`, tensor)
    const checkpoint: Checkpoint = {
      plan: digest(this.#run),
      backend: this.#engine.backend,
      step: this.#step,
      seconds: this.#seconds,
      ...(this.#finished !== undefined && { finished: this.#finished }),
      history: [...this.#history.rows],
      tensors,
    }
    await writeCheckpoint(this.#out, checkpoint)
    await writeReport(this.#out, this.#run, checkpoint, this.#total)
  }

  #diverged(figures: Figures): ZooError {
    const what = Object.entries(figures).find(([, value]) => !Number.isFinite(value))!
    return new ZooError('training-diverged', `${what[0]} became ${what[1]} at step ${this.#step}`, {
      hint: 'the last checkpoint is kept; lower the learning rate or lengthen the warm-up',
    })
  }

  #summary(): TrainSummary {
    const { recipe } = this.#run
    const { step: _, ...figures } = this.#history.latest() as HistoryRow
    return {
      out: this.#out,
      recipe: recipe.name,
      backend: this.#engine.backend,
      steps: this.#step,
      images: this.#step * recipe.batch,
      seconds: this.#seconds,
      ...(this.#finished !== undefined && { finished: this.#finished }),
      figures,
    }
  }
}

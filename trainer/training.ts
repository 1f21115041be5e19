import { setImmediate as breathe } from 'node:timers/promises'
import type { DataSet } from '../converters/data/dataset.ts'
import type { Tensor } from '../converters/onnx/tensor.ts'
import { ZooError } from '../manifests/error.ts'
import type { Progress } from '../manifests/progress.ts'
import { type Checkpoint, writeCheckpoint } from './checkpoint/checkpoint.ts'
import type { Batches } from './data/batches.ts'
import type { Engine } from './engines/engine.ts'
import { History, type HistoryRow } from './history.ts'
import type { Figures, MethodContext } from './methods/method.ts'
import { stepOf } from './methods/table.ts'
import type { Network } from './network.ts'
import { writeReport } from './report.ts'
import { digest, type Run } from './run.ts'
import { learningRateAt, stepsOf } from './schedule.ts'
import { type Accuracies, validator } from './validate.ts'

export interface TrainSummary {
  readonly out: string
  readonly recipe: string
  readonly backend: string
  readonly processes: number
  readonly steps: number
  readonly images: number
  /** Over all sittings of the run. */
  readonly seconds: number
  /** Why the method ended the training before its time, if it did. */
  readonly finished?: string
  /** The last figures of the history: loss, accuracies. */
  readonly figures: Figures
}

export interface TrainingParts {
  readonly run: Run
  readonly out: string
  readonly network: Network
  readonly engine: Engine
  readonly processes: number
  readonly batches: Batches
  readonly validation: DataSet | undefined
}

/** One run of a recipe: from the last checkpoint to the end. */
export class Training {
  readonly #run: Run
  readonly #out: string
  readonly #network: Network
  readonly #engine: Engine
  readonly #processes: number
  readonly #batches: Batches
  readonly #total: number
  readonly #consistentFrom: number
  readonly #history = new History()
  readonly #memory = new Map<string, Tensor>()
  readonly #validate: (() => Promise<Accuracies>) | undefined
  readonly #validateEvery: number
  /** Batches done, and how many of them wait in the accumulated gradient. */
  #step = 0
  #waiting = 0
  /** Why the method ended the training early, if it did. */
  #finished: string | undefined
  #seconds = 0

  constructor({ run, out, network, engine, processes, batches, validation }: TrainingParts) {
    const { recipe } = run
    this.#processes = processes
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
        ? validator(network, engine, validation, recipe.validation, recipe.batch, recipe.seed)
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
    this.#waiting = checkpoint.step % this.#run.recipe.optimiser.accumulate
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
    let unsaved = false
    while (this.#step < this.#total && this.#finished === undefined) {
      const began = performance.now()
      const learningRate = this.#learningRate()
      const figures = await step(await this.#batches.at(this.#step))
      for (const [what, value] of Object.entries(figures))
        if (!Number.isFinite(value)) throw this.#diverged(`${what} became ${value}`)
      this.#step++
      const trained = (performance.now() - began) / 1000
      const finished = this.#step === this.#total || this.#finished !== undefined
      const validated =
        this.#validate && (finished || this.#step % this.#validateEvery === 0)
          ? await this.#validated(this.#validate)
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
      unsaved ||= finished || this.#step % perEpoch === 0 || Date.now() - saved > interval
      // Saving gathers the gradients of several processes, and rounds: what depends on the clock waits until there are none.
      if (finished || signal?.aborted || (unsaved && this.#waiting === 0)) {
        await this.#save()
        saved = Date.now()
        unsaved = false
        if (signal?.aborted && !finished) throw this.#interrupted()
      }
    }
    return this.#summary()
  }

  /** Milliseconds of a step, the second of two; what it changes is of no use afterwards. */
  async rehearse(): Promise<number> {
    const step = await stepOf(this.#run.recipe.method, this.#context())
    const batch = await this.#batches.at(0)
    await step(batch)
    const began = performance.now()
    await step(batch)
    return performance.now() - began
  }

  /** Where moving averages of the weights are kept, it is they that are measured. */
  async #validated(validate: () => Promise<Accuracies>): Promise<Accuracies> {
    if (this.#run.recipe.optimiser.averaging === undefined) return validate()
    const state = await this.#engine.state()
    const averaged = await this.#engine.weights(true)
    await this.#engine.load(new Map([...averaged].map(([name, tensor]) => [`weight/${name}`, tensor])))
    try {
      return await validate()
    } finally {
      await this.#engine.load(state)
    }
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

  /** A step can spoil the weights although its own loss, computed before, is a number: such weights are not kept. */
  async #save(): Promise<void> {
    const tensors = await this.#engine.state()
    for (const [name, tensor] of this.#memory) tensors.set(`method/${name}`, tensor)
    for (const [name, { floats }] of tensors)
      if (!floats.every(Number.isFinite)) throw this.#diverged(`${name} became infinite or no number`)
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

  #diverged(what: string): ZooError {
    return new ZooError('training-diverged', `${what} at step ${this.#step}`, {
      hint: 'the last checkpoint is kept; lower the learning rate or lengthen the warm-up',
    })
  }

  #interrupted(): ZooError {
    return new ZooError('interrupted', `stopped after ${this.#step} of ${this.#total} steps`, {
      hint: 'the same command again goes on from there',
    })
  }

  #summary(): TrainSummary {
    const { recipe } = this.#run
    const { step: _, ...figures } = this.#history.latest() as HistoryRow
    return {
      out: this.#out,
      recipe: recipe.name,
      backend: this.#engine.backend,
      processes: this.#processes,
      steps: this.#step,
      images: this.#step * recipe.batch,
      seconds: this.#seconds,
      ...(this.#finished !== undefined && { finished: this.#finished }),
      figures,
    }
  }
}

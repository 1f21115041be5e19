import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { tensorsFromWire, tensorsToWire } from '../../../../converters/onnx/runtime/protocol.ts'
import type { Tensor } from '../../../../converters/onnx/tensor.ts'
import { ZooError } from '../../../../manifests/error.ts'
import { moduleBeside, threadFlags } from '../../../../manifests/package.ts'
import type { WeightTable } from '../weights.ts'
import type { Answer, Message } from './messages.ts'

/** One thread for each core, each with onnxruntime on that one thread and a copy of the weights. */
export class Workers {
  readonly count = availableParallelism()
  readonly #weights: WeightTable
  readonly #threads: Thread[] = []
  #version = Number.NaN

  constructor(weights: WeightTable) {
    this.#weights = weights
  }

  /** Sends each worker its message and waits for all. Threads start, and learn of changed weights, when they must. */
  async ask(messages: readonly Message[]): Promise<Record<string, Tensor>[]> {
    while (this.#threads.length < this.count) this.#threads.push(new Thread())
    if (this.#version !== this.#weights.version) {
      const { version } = this.#weights
      const values = tensorsToWire(Object.fromEntries(this.#weights.live()))
      for (const thread of this.#threads) thread.ask({ kind: 'weights', version, values }).catch(() => {})
      this.#version = version
    }
    return await Promise.all(messages.map((message, i) => this.#threads[i]!.ask(message)))
  }

  end(): void {
    for (const thread of this.#threads) thread.end()
  }
}

interface Waiting {
  resolve(results: Record<string, Tensor>): void
  reject(error: Error): void
}

class Thread {
  readonly #worker: Worker
  /** Who waits, in order: answers come in the order of messages. */
  readonly #waiting: Waiting[] = []
  #death: ZooError | undefined

  constructor() {
    const module = moduleBeside(import.meta.url, './worker')
    this.#worker = new Worker(module, { execArgv: threadFlags(module) })
    this.#worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.shift()!
      if (this.#waiting.length === 0) this.#worker.unref()
      if (answer.kind === 'done') waiting.resolve(tensorsFromWire(answer.results))
      else waiting.reject(new ZooError(answer.code, answer.message, answer.hint ? { hint: answer.hint } : {}))
    })
    this.#worker.on('error', (cause) => {
      this.#death = new ZooError('session-crashed', `a training thread died: ${cause.message}`, { cause })
      for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#death)
    })
  }

  ask(message: Message): Promise<Record<string, Tensor>> {
    if (this.#death) return Promise.reject(this.#death)
    // A thread keeps the process alive only while it works.
    this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  end(): void {
    void this.#worker.terminate()
  }
}

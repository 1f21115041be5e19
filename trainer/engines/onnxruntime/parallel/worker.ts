import { parentPort } from 'node:worker_threads'
import { decodeModel } from '../../../../converters/onnx/codec.ts'
import { tensorsFromWire, tensorsToWire } from '../../../../converters/onnx/runtime/protocol.ts'
import type { Tensor } from '../../../../converters/onnx/tensor.ts'
import { asZooError } from '../../../../manifests/error.ts'
import { openRunner } from '../open-runner.ts'
import type { Runner, WeightSource } from '../runner.ts'
import type { Answer, Message } from './messages.ts'

/** A worker's side of `Workers`: one thread of its own, a copy of the weights, and what was built. */
const runners = new Map<number, Runner>()
let version = Number.NaN
let values: Readonly<Record<string, Tensor>> = {}
const weights: WeightSource = {
  get version() {
    return version
  },
  has: (name) => name in values,
  get: (name) => values[name]!,
}

let queue = Promise.resolve()
parentPort!.on('message', (message: Message) => {
  queue = queue.then(async () => parentPort!.postMessage(await answer(message)))
})

async function answer(message: Message): Promise<Answer> {
  try {
    return { kind: 'done', results: tensorsToWire(await carriedOut(message)) }
  } catch (error) {
    const { code, message: text, hint } = asZooError(error)
    return { kind: 'failed', code, message: text, ...(hint !== undefined && { hint }) }
  }
}

async function carriedOut(message: Message): Promise<Record<string, Tensor>> {
  switch (message.kind) {
    case 'weights':
      values = tensorsFromWire(message.values)
      version = message.version
      return {}
    case 'build': {
      const { graph } = decodeModel(message.model)
      const feeds = tensorsFromWire(message.feeds)
      const options = { threads: 1 }
      runners.set(message.runner, await openRunner(graph, feeds, message.request, weights, options))
      return {}
    }
    case 'run':
      return await runners.get(message.runner)!.run(tensorsFromWire(message.feeds))
    case 'release':
      await runners.get(message.runner)?.release()
      runners.delete(message.runner)
      return {}
  }
}

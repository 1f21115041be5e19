import { decodeModel } from '../../../converters/onnx/codec.ts'
import { tensorsFromWire, tensorsToWire } from '../../../converters/onnx/runtime/protocol.ts'
import { asZooError, ZooError } from '../../../manifests/error.ts'
import type { TrainingForm } from '../../resnet/statistics.ts'
import type { SharingEngine } from '../engine.ts'
import { openShare } from '../open.ts'
import type { Message, Reply, WireTensors } from './messages.ts'

/** A further process of `ParallelEngine`: an engine of its own on its share of every batch. */
const forms = new Map<number, TrainingForm>()
let engine: SharingEngine | undefined

async function answer(message: Message): Promise<Record<string, WireTensors>> {
  if (message.kind === 'open') {
    const { backend, weights, options } = message
    const specs = weights.map(({ name, role, value }) => ({
      name,
      role,
      value: tensorsFromWire({ value }).value!,
    }))
    engine = await openShare(backend, { ...options, weights: specs })
    return {}
  }
  if (!engine) throw new ZooError('internal', `a process was asked to ${message.kind} before it was opened`)
  switch (message.kind) {
    case 'form':
      forms.set(message.form, { graph: decodeModel(message.model).graph, statistics: message.statistics })
      return {}
    case 'forward': {
      const outputs = await engine.forward(
        forms.get(message.form)!,
        tensorsFromWire(message.feeds),
        message.outputs,
      )
      return { outputs: tensorsToWire(outputs) }
    }
    case 'gradient': {
      const feeds = tensorsFromWire(message.feeds)
      const { outputs, gradients } = await engine.gradient(forms.get(message.form)!, feeds, message.request)
      return { outputs: tensorsToWire(outputs), gradients: tensorsToWire(gradients) }
    }
    case 'accumulate': {
      const feeds = tensorsFromWire(message.feeds)
      const { outputs, gradients } = await engine.accumulate(forms.get(message.form)!, feeds, message.request)
      return { outputs: tensorsToWire(outputs), gradients: tensorsToWire(gradients) }
    }
    case 'collect': {
      const gradient = await engine.takeGradient()
      const statistics = await engine.statistics()
      return {
        gradient: tensorsToWire(Object.fromEntries(gradient)),
        statistics: tensorsToWire(Object.fromEntries(statistics)),
      }
    }
    case 'weights':
      await engine.setWeights(new Map(Object.entries(tensorsFromWire(message.weights))))
      return {}
  }
}

let last: Promise<void> = Promise.resolve()
process.on('message', (message: Message) => {
  last = last.then(async () => {
    let reply: Reply
    try {
      reply = { kind: 'done', results: await answer(message) }
    } catch (error) {
      const { code, message: text, hint } = asZooError(error)
      reply = { kind: 'failed', code, message: text, ...(hint !== undefined && { hint }) }
    }
    process.send!(reply)
  })
})
// Without its parent it has nothing to live for.
process.on('disconnect', () => process.exit(0))

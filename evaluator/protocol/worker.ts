/**
 * A worker process. The attack's loop and its sessions run here together, so that no image crosses a process boundary
 * between steps, and a crash of the runtime ends this process alone.
 */
import { openData } from '../../converters/data/open.ts'
import { asZooError } from '../../manifests/error.ts'
import { type Ledger, openLedger } from './ledger.ts'
import type { AttackedModel } from './model.ts'
import { classifierAt, openAttackedModel } from './onnx-model.ts'
import type { Plan, Protocol } from './plan.ts'
import { runUnit, type Workshop } from './run-unit.ts'
import { measureSpeed } from './speed.ts'
import { type Answer, failure, type Request } from './wire.ts'

let ledger: Ledger
let workshop: Workshop

async function begin(plan: Plan, dir: string): Promise<void> {
  const { protocol, sourcePaths } = plan
  const { batch, threads, provider } = protocol
  const open = async (path: string, { input, outputKind }: Protocol['sources'][string]) => {
    const settings = { input, outputKind, batch, threads, provider }
    return openAttackedModel(await classifierAt(path, settings), settings)
  }
  const model = await open(plan.model.path, protocol.model)
  const { size, resize, labelOffset } = protocol.model.input
  const data = await openData(plan.data, { size, resize, labelOffset, classes: model.classes })
  const sources = new Map<string, Promise<AttackedModel>>()
  ledger = openLedger(dir)
  workshop = {
    protocol,
    data,
    model,
    source(name) {
      const known = sources.get(name) ?? open(sourcePaths[name]!, protocol.sources[name]!)
      sources.set(name, known)
      return known
    },
  }
}

async function answer(request: Request): Promise<Answer> {
  try {
    switch (request.ask) {
      case 'begin':
        await begin(request.plan, request.dir)
        return { ok: true, value: null }
      case 'unit': {
        const finished = await runUnit(request.unit, workshop)
        await ledger.write(finished)
        return { ok: true, value: finished.result }
      }
      case 'speed':
        return { ok: true, value: await measureSpeed(workshop, request.seconds) }
    }
  } catch (error) {
    return failure(asZooError(error))
  }
}

process.on('message', async (request: Request) => {
  process.send!(await answer(request))
})
// The parent is gone: so is the need for this process.
process.on('disconnect', () => process.exit(0))
// Ctrl-C reaches the whole group; the parent ends its workers itself.
process.on('SIGINT', () => {})

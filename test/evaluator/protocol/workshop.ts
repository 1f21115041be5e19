import type { DataSet } from '../../../converters/data/dataset.ts'
import type { BlockResults } from '../../../evaluator/protocol/aggregate.ts'
import type { Protocol } from '../../../evaluator/protocol/plan.ts'
import { runUnit, type Workshop } from '../../../evaluator/protocol/run-unit.ts'
import { attackBlock, checksUnit, cleanUnit } from '../../../evaluator/protocol/schedule.ts'
import type { Unit, UnitResult } from '../../../evaluator/protocol/unit.ts'
import { inputSchema } from '../../../manifests/schema/input.ts'
import { type PlainModel, plainModel, taskFor } from '../attacks/models.ts'
import { batteryOf } from '../known-answers/run.ts'

export const SIZE = 24

/** A workshop without files: a plain model, images near grey, every eighth label wrong. */
export function workshopFor(
  attacks: object[],
  more: { battery?: object; protocol?: Partial<Protocol>; model?: Partial<PlainModel> } = {},
): Workshop {
  const plain = plainModel({ hidden: 12, key: 4 })
  const model = { ...plain, ...more.model }
  const { examples } = taskFor(plain, { norm: 'linf', eps: 0.1, rows: SIZE })
  const battery = batteryOf(attacks, more.battery)
  const data: DataSet = {
    name: 'grey',
    sha256: 'a'.repeat(64),
    size: SIZE,
    shape: plain.shape,
    classes: null,
    read: async (indices) => ({
      images: Float32Array.from(indices.flatMap((index) => Array.from(examples[index]!.origin))),
      labels: Int32Array.from(
        indices,
        (index) => (examples[index]!.label + (index % 8 === 7 ? 1 : 0)) % plain.classes,
      ),
    }),
  }
  const protocol: Protocol = {
    model: { name: 'plain', sha256: 'b'.repeat(64), input: inputSchema.parse({}), outputKind: 'auto' },
    dataset: { name: data.name, sha256: data.sha256, size: SIZE },
    examples: SIZE,
    battery,
    attacks: battery.attacks,
    classes: model.classes,
    skipped: [],
    threat: { norm: 'linf', eps: 0.02, targeted: false },
    gradients: true,
    sources: {},
    seed: 5,
    block: 10,
    batch: 7,
    threads: 1,
    provider: 'cpu',
    software: { onnxruntime: '0' },
    ...more.protocol,
  }
  return { protocol, data, model, source: async () => model }
}

/** Walks through all units of a workshop's protocol, and tells which they were. */
export async function walkAll(workshop: Workshop) {
  const { protocol } = workshop
  const done: Unit[] = []
  const run = async (unit: Unit): Promise<UnitResult> => {
    done.push(unit)
    return (await runUnit(unit, workshop)).result
  }
  const blocks: BlockResults[] = []
  for (let from = 0; from < SIZE; from += protocol.block) {
    const rows = Array.from({ length: Math.min(protocol.block, SIZE - from) }, (_, i) => from + i)
    const clean = await run(cleanUnit(rows))
    blocks.push({ clean, attacks: await attackBlock(protocol, clean, run) })
  }
  const checks = protocol.battery.checks > 0 ? await run(checksUnit(protocol)) : null
  return { blocks, checks, done }
}

import type { ExampleRow, Result } from '../../manifests/schema/result.ts'
import { share, tally } from './aggregate.ts'
import { digestOf } from './canonical.ts'
import { budgetCurve } from './curve.ts'
import { raiseFlags } from './flags.ts'
import type { Plan } from './plan.ts'
import type { Walked } from './walk.ts'

/** Adds a finished walk up to what is printed and kept. */
export function summarise(
  plan: Plan,
  { blocks, checks }: Walked,
): { result: Result; examples: ExampleRow[] } {
  const { protocol, digest } = plan
  const tallied = tally(protocol, blocks)
  const { examples, attacks } = tallied
  const { battery, model, dataset, threat, seed, provider, software } = protocol
  const total = examples.length
  const result: Result = {
    schemaVersion: 1,
    model: { name: model.name, sha256: model.sha256 },
    dataset: { name: dataset.name, sha256: dataset.sha256, examples: total, size: dataset.size },
    battery: {
      id: battery.id,
      version: battery.version,
      aggregation: battery.aggregation,
      sha256: digestOf(battery),
    },
    threat,
    gradients: protocol.gradients,
    ...(protocol.gradientsReason !== undefined && { gradientsReason: protocol.gradientsReason }),
    skipped: protocol.skipped,
    seed,
    provider,
    software: { ...software, node: process.versions.node },
    clean: share(examples.filter(({ clean }) => clean).length, total),
    robust: share(examples.filter(({ robust }) => robust).length, total),
    attacks,
    curve: budgetCurve(protocol, tallied),
    flags: raiseFlags({ protocol, blocks, checks, tally: tallied }),
    plan: digest,
    date: new Date().toISOString(),
  }
  return { result, examples }
}

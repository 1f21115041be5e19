import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { evaluate } from '../../../evaluator/evaluate.ts'
import type { EvaluationRequest } from '../../../evaluator/request.ts'
import { silent } from '../../../manifests/progress.ts'
import { type Battery, batterySchema } from '../../../manifests/schema/battery.ts'
import { inputSchema } from '../../../manifests/schema/input.ts'

/** A battery of a test's own. */
export const batteryOf = (attacks: object[], more: object = {}): Battery =>
  batterySchema.parse({
    schemaVersion: 1,
    id: 'test',
    version: '1',
    description: 'of a test',
    aggregation: 'worst-case',
    checks: 0,
    attacks,
    ...more,
  })

/** Evaluates a model file as `zoo eval` does. */
export async function run(
  options: Partial<Omit<EvaluationRequest, 'model' | 'input'>> &
    Pick<EvaluationRequest, 'data' | 'battery'> & { readonly model: string; readonly input?: object },
) {
  const { model, input, ...rest } = options
  const finished = await evaluate(
    {
      seed: 0,
      provider: 'cpu',
      jobs: 2,
      threads: 1,
      ...rest,
      input: inputSchema.parse(input ?? {}),
      model: {
        name: basename(model),
        path: model,
        sha256: createHash('sha256').update(readFileSync(model)).digest('hex'),
      },
    },
    silent,
  )
  return finished!
}

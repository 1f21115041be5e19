import { join } from 'node:path'
import { writeFileAtomic, writeJsonAtomic } from '../../manifests/atomic.ts'
import type { ExampleRow, Result } from '../../manifests/schema/result.ts'
import { drawPictures } from '../report/pictures.ts'
import { renderReport } from '../report/report.ts'
import type { Ledger } from './ledger.ts'
import type { Plan } from './plan.ts'
import { summarise } from './summary.ts'
import type { Walked } from './walk.ts'

export interface Evaluation {
  readonly result: Result
  readonly examples: ExampleRow[]
}

/** Adds a finished walk up and writes what people and programs read: `examples.json`, the report, and last `result.json`. */
export async function finish(plan: Plan, ledger: Ledger, walked: Walked): Promise<Evaluation> {
  const evaluation = summarise(plan, walked)
  await writeJsonAtomic(join(ledger.dir, 'examples.json'), evaluation.examples)
  const pictures = await drawPictures(plan, ledger, walked)
  if (pictures) await writeFileAtomic(join(ledger.dir, 'pictures.png'), pictures.png)
  await writeFileAtomic(join(ledger.dir, 'report.html'), renderReport(evaluation.result, plan, pictures))
  await writeJsonAtomic(join(ledger.dir, 'result.json'), evaluation.result)
  return evaluation
}

import { type ErrorCode, ZooError } from '../../manifests/error.ts'
import type { Plan } from './plan.ts'
import type { Unit, UnitResult } from './unit.ts'

/** What the pool asks of a worker process; each request is answered once, in order. */
export type Request =
  /** Comes first: the plan, and the ledger's folder, where results are written. */
  | { readonly ask: 'begin'; readonly plan: Plan; readonly dir: string }
  | { readonly ask: 'unit'; readonly unit: Unit }
  /** How many images a second does a gradient take here, over so many seconds? */
  | { readonly ask: 'speed'; readonly seconds: number }

export type Answer =
  | { readonly ok: true; readonly value: UnitResult | number | null }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly hint?: string }

export const failure = ({ code, message, hint }: ZooError): Answer => ({
  ok: false,
  code,
  message,
  ...(hint !== undefined && { hint }),
})

export const asError = ({ code, message, hint }: Extract<Answer, { ok: false }>): ZooError =>
  new ZooError(code, message, hint === undefined ? {} : { hint })

import { describe, type Node } from '../graph.ts'

/** `error`: an evaluation is impossible or its numbers mean nothing; `warning`: they may mislead; `note`: good to know. */
export type Severity = 'error' | 'warning' | 'note'

export interface Finding {
  /** The kind of finding, stable for scripts. */
  readonly check: string
  readonly severity: Severity
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
  /** The nodes in question, operator and name. */
  readonly nodes?: readonly string[]
}

type More = { readonly hint?: string; readonly nodes?: readonly Node[] }

const finding =
  (severity: Severity) =>
  (check: string, message: string, { hint, nodes }: More = {}): Finding => ({
    check,
    severity,
    message,
    ...(hint !== undefined && { hint }),
    ...(nodes !== undefined && { nodes: nodes.map(describe) }),
  })

export const error = finding('error')
export const warning = finding('warning')
export const note = finding('note')

import { ZooError } from '../../../manifests/error.ts'
import type { OutputKind } from '../classifier/output-kind.ts'
import { ruleFor } from '../gradient/rules/table.ts'
import type { Dim } from '../graph.ts'
import type { DataType } from '../tensor.ts'
import { behaviourChecks } from './checks/behaviour.ts'
import { fileChecks } from './checks/file.ts'
import { imageChecks } from './checks/images.ts'
import { interfaceChecks } from './checks/interface.ts'
import { allNodes, operatorChecks } from './checks/operators.ts'
import type { Finding } from './finding.ts'
import { type LintOptions, look, type Subject } from './subject.ts'

export interface OperatorUse {
  /** Operator, with its domain where that is not the standard's. */
  readonly operator: string
  readonly count: number
  /** How gradients pass: by a rule, not at all and rightly so, or for want of a rule. */
  readonly gradient: 'rule' | 'zero' | 'none'
}

export interface LintReport {
  readonly path: string
  readonly irVersion: number
  readonly opsets: Readonly<Record<string, number>>
  readonly producer: string
  readonly nodes: number
  readonly parameters: number
  readonly input?: { readonly name: string; readonly dtype: DataType; readonly shape: readonly Dim[] }
  readonly output?: { readonly kind: OutputKind; readonly classes: number }
  /** The only batch size that the model takes; null if any. */
  readonly batch?: number | null
  /** How the images seem to be wanted: guesses from the graph. */
  readonly guesses: {
    readonly layout?: string
    readonly channels?: string
    readonly size?: readonly [number, number]
    readonly range?: readonly [number, number]
  }
  readonly operators: readonly OperatorUse[]
  /** Errors first. */
  readonly findings: readonly Finding[]
  /** Whether nothing stands in the way of an evaluation. */
  readonly passed: boolean
}

const CHECKS = [fileChecks, interfaceChecks, operatorChecks, imageChecks, behaviourChecks].flat()

const ORDER = ['error', 'warning', 'note']

/**
 * Says what would make an evaluation of the model at `path` wrong or impossible, before any attack.
 *
 * @throws ZooError `invalid-model`, `not-found` or `unsupported-model` where the file cannot be read at all
 */
export async function lint(
  path: string,
  options: LintOptions = {},
): Promise<{ report: LintReport; subject: Subject }> {
  const subject = await look(path, options)
  const findings = CHECKS.flatMap((check) => check(subject)).sort(
    (a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity),
  )
  return { report: reportOf(subject, findings), subject }
}

function reportOf(subject: Subject, findings: readonly Finding[]): LintReport {
  const { path, file, port, guess, classifier } = subject
  const ready = classifier instanceof ZooError ? undefined : classifier
  const { layout, channels, size, range } = guess ?? {}
  return {
    path,
    irVersion: file.irVersion,
    opsets: Object.fromEntries(
      Array.from(file.opsets, ([domain, version]) => [domain || 'ai.onnx', version]),
    ),
    producer: [file.producer, file.producerVersion].filter(Boolean).join(' '),
    nodes: allNodes(subject).length,
    parameters: parametersOf(subject),
    ...(port && { input: { name: port.name, dtype: port.dtype, shape: port.dims ?? [] } }),
    ...(ready && { output: { kind: ready.outputKind, classes: ready.classes }, batch: ready.batch }),
    guesses: {
      ...(layout && { layout: layout.value }),
      ...(channels && { channels: channels.value }),
      ...(size && { size: size.value }),
      ...(range && { range: range.value }),
    },
    operators: operatorsOf(subject),
    findings,
    passed: findings.every(({ severity }) => severity !== 'error'),
  }
}

/** Numbers of a float type that the file stores, or of an integer type where the model is quantised. */
function parametersOf({ file, normal }: Subject): number {
  const { initializers } = (normal instanceof ZooError ? file : normal).graph
  let count = 0
  for (const tensor of initializers.values())
    if (!['int64', 'int32', 'bool', 'string'].includes(tensor.dtype)) count += tensor.size
  return count
}

function operatorsOf(subject: Subject): OperatorUse[] {
  const uses = new Map<string, OperatorUse>()
  for (const node of allNodes(subject)) {
    const operator = node.domain === '' ? node.opType : `${node.domain}.${node.opType}`
    const rule = ruleFor(node)
    const gradient = rule === undefined ? 'none' : 'reason' in rule ? 'zero' : 'rule'
    uses.set(operator, { operator, count: (uses.get(operator)?.count ?? 0) + 1, gradient })
  }
  return [...uses.values()].sort((a, b) => b.count - a.count || (a.operator < b.operator ? -1 : 1))
}

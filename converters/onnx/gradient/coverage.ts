import type { Model, Node } from '../graph.ts'
import { findActive, type Stop } from './active.ts'
import type { DifferentiateOptions } from './differentiate.ts'
import { overriding } from './overrides.ts'
import { probe } from './probe.ts'
import { ruleFor } from './rules/table.ts'

export interface Coverage {
  /** Nodes on the way that have no gradient rule: `differentiate` would refuse them. */
  readonly missing: readonly Node[]
  /** Nodes at which the gradient ends, with the reason: what follows them is attacked blindly. */
  readonly stops: readonly Stop[]
  /** Nodes whose true gradient is zero almost everywhere and is replaced by the identity's: quantisation. */
  readonly straightThrough: readonly Node[]
}

/** What `differentiate` would meet between `withRespectTo` and `of`, without building anything. */
export async function gradientCoverage(
  model: Model,
  options: Pick<DifferentiateOptions, 'of' | 'withRespectTo' | 'facts' | 'overrides'>,
): Promise<Coverage> {
  const facts = options.facts ?? (await probe(model))
  const findRule = overriding(options.overrides ?? [], ruleFor)
  const { nodes, missing, stops } = findActive(
    model.graph,
    options.of,
    options.withRespectTo,
    facts,
    findRule,
  )
  const straightThrough = nodes.map(({ node }) => node).filter((node) => node.opType === 'QuantizeLinear')
  return { missing, stops, straightThrough }
}

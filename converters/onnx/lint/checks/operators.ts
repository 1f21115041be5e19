import { ZooError } from '../../../../manifests/error.ts'
import { Attributes, type Graph, type Node } from '../../graph.ts'
import { subgraphsOf } from '../../subgraphs.ts'
import type { Check } from '../check.ts'
import { error, type Finding, note, warning } from '../finding.ts'
import type { Subject } from '../subject.ts'

/** Every node of the model in its normal form, those of subgraphs included. */
export function allNodes(subject: Subject): readonly Node[] {
  if (subject.normal instanceof ZooError) return []
  const nodes: Node[] = []
  const visit = (graph: Graph): void => {
    for (const node of graph.nodes) {
      nodes.push(node)
      for (const inner of subgraphsOf(node)) visit(inner)
    }
  }
  visit(subject.normal.graph)
  return nodes
}

const ifAny = (nodes: readonly Node[], make: (nodes: readonly Node[]) => Finding): Finding[] =>
  nodes.length > 0 ? [make(nodes)] : []

const named = (...names: string[]) => {
  const set = new Set(names)
  return (node: Node): boolean => node.domain === '' && set.has(node.opType)
}

const missingRules: Check = ({ coverage }) =>
  ifAny(coverage?.missing ?? [], (nodes) =>
    error(
      'no-gradient-rule',
      `operators without a gradient rule lie between image and scores: ${operators(nodes)}`,
      {
        nodes,
        hint: 'white-box attacks are impossible; export the model with other operators, or replace their gradients',
      },
    ),
  )

/** Steps whose derivative is zero or does not exist: what the image does to the scores through them, no gradient sees. */
const zeroGradients: Check = ({ coverage }) => {
  const shapes = named('Shape', 'Size', 'ConstantOfShape', 'EyeLike', 'RandomNormalLike', 'RandomUniformLike')
  const stops = (coverage?.stops ?? []).filter(({ node }) => !shapes(node))
  return ifAny(
    stops.map(({ node }) => node),
    (nodes) =>
      warning(
        'zero-gradient',
        `the gradient ends at ${operators(nodes)}, although the scores depend on them`,
        {
          nodes,
          hint: 'gradients may be masked: compare with attacks that use none, or replace these gradients',
        },
      ),
  )
}

const quantised: Check = (subject) => {
  const quantising = named('QuantizeLinear', 'DynamicQuantizeLinear')
  const integer = named('QLinearConv', 'QLinearMatMul', 'ConvInteger', 'MatMulInteger')
  return ifAny(
    allNodes(subject).filter((node) => quantising(node) || integer(node)),
    (nodes) =>
      warning('quantised', `values are rounded to integers inside the model: ${operators(nodes)}`, {
        nodes,
        hint: 'the gradient passes straight through the rounding, as in quantisation-aware training',
      }),
  )
}

const stochastic: Check = (subject) => {
  const random = named(
    'RandomNormal',
    'RandomUniform',
    'RandomNormalLike',
    'RandomUniformLike',
    'Bernoulli',
    'Multinomial',
  )
  return ifAny(
    allNodes(subject).filter((node) => random(node) || isTrainingDropout(node, subject)),
    (nodes) =>
      warning('stochastic', `the model draws random numbers: ${operators(nodes)}`, {
        nodes,
        hint: 'use the battery autoattack-rand, which averages gradients; results repeat only roughly',
      }),
  )
}

function isTrainingDropout(node: Node, { normal }: Subject): boolean {
  if (node.opType !== 'Dropout' || !node.inputs[2] || normal instanceof ZooError) return false
  const mode = normal.graph.initializers.get(node.inputs[2])
  return mode === undefined || mode.numbers[0] !== 0
}

const trainingMode: Check = (subject) =>
  ifAny(
    allNodes(subject).filter(
      (node) => node.opType === 'BatchNormalization' && new Attributes(node).int('training_mode', 0) === 1,
    ),
    (nodes) =>
      warning(
        'training-mode',
        `${nodes.length} BatchNormalization normalise by the batch at hand (training mode)`,
        {
          nodes,
          hint: 'an image is classified otherwise in other company: export the model in evaluation mode',
        },
      ),
  )

const customDomains: Check = (subject) =>
  ifAny(
    allNodes(subject).filter((node) => node.domain !== ''),
    (nodes) =>
      note('custom-domain', `operators outside of the standard: ${operators(nodes)}`, {
        nodes,
        hint: 'they run only where a runtime knows them',
      }),
  )

/** `Conv (12), Relu (3)`. */
export function operators(nodes: readonly Node[]): string {
  const counts = new Map<string, number>()
  for (const { domain, opType } of nodes) {
    const name = domain === '' ? opType : `${domain}.${opType}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return Array.from(counts, ([name, count]) => `${name} (${count})`).join(', ')
}

export const operatorChecks: readonly Check[] = [
  missingRules,
  zeroGradients,
  quantised,
  stochastic,
  trainingMode,
  customDomains,
]

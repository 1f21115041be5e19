import { ZooError } from '../../../manifests/error.ts'
import { GraphBuilder } from '../builder.ts'
import type { Dim, Graph } from '../graph.ts'

/**
 * What an attack increases, per example, of logits z with label y and, where targeted, target t.
 * Sorted logits are z(1) >= z(2) >= ...
 *
 * | loss | value |
 * |---|---|
 * | `ce` | log(sum_j exp z_j) - z_y |
 * | `targeted-ce` | the same of t, negated |
 * | `margin` | max over j != y of z_j - z_y (Carlini & Wagner 2017, equation 6) |
 * | `targeted-margin` | z_t - max over j != t of z_j |
 * | `dlr` | the margin over z(1) - z(3) (Croce & Hein 2020, equation 6) |
 * | `targeted-dlr` | (z_t - z_y) / (z(1) - (z(3) + z(4)) / 2) (ibid., equation 7) |
 * | `kl` | sum_j p_j (log p_j - log softmax(z)_j) for given probabilities p (TRADES, Zhang et al. 2019) |
 * | `linear` | sum_j w_j z_j for given weights w |
 */
export const LOSSES = {
  ce: ['label'],
  'targeted-ce': ['target'],
  margin: ['label'],
  'targeted-margin': ['target'],
  dlr: ['label'],
  'targeted-dlr': ['label', 'target'],
  kl: ['probabilities'],
  linear: ['weights'],
} as const

export type Loss = keyof typeof LOSSES
export type LossInput = (typeof LOSSES)[Loss][number]

export interface LossShape {
  readonly classes: number
  readonly batch: Dim
  /** Added to labels and targets. */
  readonly labelOffset: number
}

/** Appends a loss of the value `logits` [batch, classes], and its inputs; the value `loss` is [batch]. */
export function appendLoss(graph: Graph, loss: Loss, shape: LossShape): string {
  const { classes, batch } = shape
  const fewest = loss === 'targeted-dlr' ? 4 : loss === 'dlr' ? 3 : 2
  if (classes < fewest)
    throw new ZooError('usage', `the loss ${loss} needs at least ${fewest} classes, the model has ${classes}`)
  for (const name of LOSSES[loss])
    graph.inputs.push(
      name === 'label' || name === 'target'
        ? { name, dtype: 'int64', dims: [batch] }
        : { name, dtype: 'float32', dims: [batch, classes] },
    )
  return new LossBuilder(graph, shape).build(loss)
}

/** Below any logit, so that its exponential vanishes. */
const LOWEST = -3.4e38
/** A factor that changes no cross-entropy above the smallest float32 numbers. */
const UNSEEN = 1e-30
/** Keeps DLR's quotient finite where the leading logits are equal, as in its authors' code. */
const TINY = 1e-12

class LossBuilder {
  readonly #b: GraphBuilder
  readonly #logits = 'logits'
  /** [1, classes]: the label of each class. */
  readonly #labels: string

  constructor(graph: Graph, { classes, labelOffset }: LossShape) {
    this.#b = new GraphBuilder(graph)
    const labels = Array.from({ length: classes }, (_, k) => k - labelOffset)
    this.#labels = this.#b.constant('int64', [1, classes], labels)
  }

  build(loss: Loss): string {
    const b = this.#b
    switch (loss) {
      case 'ce':
        return this.#named(this.#crossEntropy('label'))
      case 'targeted-ce':
        return this.#named(b.op('Neg', [this.#crossEntropy('target')]))
      case 'margin':
        return this.#named(this.#margin('label'))
      case 'targeted-margin':
        return this.#named(b.op('Neg', [this.#margin('target')]))
      case 'dlr': {
        const [first, , third] = this.#largest(3)
        return this.#named(this.#over(this.#margin('label'), b.op('Sub', [first!, third!])))
      }
      case 'targeted-dlr': {
        const [first, , third, fourth] = this.#largest(4)
        const mean = b.op('Mul', [b.op('Add', [third!, fourth!]), b.scalar(0.5)])
        const difference = b.op('Sub', [this.#logitOf('target'), this.#logitOf('label')])
        return this.#named(this.#over(difference, b.op('Sub', [first!, mean])))
      }
      case 'kl':
        return this.#named(this.#divergence('probabilities'))
      case 'linear':
        return this.#named(this.#sum(b.op('Mul', [this.#logits, 'weights'])))
    }
  }

  #named(value: string): string {
    return this.#b.op('Identity', [value], {}, { outputs: ['loss'] })
  }

  /**
   * softplus(m), where m = log(sum over j != y of exp z_j) - z_y. The same as the textbook's form, but neither it nor
   * its gradient rounds to 0 where the model is certain: attacks on confident models need both. Below m = -80 or so
   * the exponential itself would; a share of m that is too small to be seen elsewhere then keeps order and direction.
   */
  #crossEntropy(label: string): string {
    const b = this.#b
    const others = b.op('ReduceLogSumExp', [this.#others(label), b.int64s([1])], { keepdims: 0 })
    const m = b.op('Sub', [others, this.#logitOf(label)])
    // softplus(m) = max(m, 0) + log(1 + u), u = exp(-|m|), and log(1 + u) = 2 artanh(u / (2 + u)).
    const u = b.op('Exp', [b.op('Neg', [b.op('Abs', [m])])])
    const artanh = b.op('Atanh', [b.op('Div', [u, b.op('Add', [u, b.scalar(2)])])])
    const softplus = b.op('Add', [b.op('Max', [m, b.scalar(0)]), b.op('Mul', [artanh, b.scalar(2)])])
    return b.op('Add', [softplus, b.op('Mul', [m, b.scalar(UNSEEN)])])
  }

  #margin(label: string): string {
    const b = this.#b
    const largest = b.op('ReduceMax', [this.#others(label), b.int64s([1])], { keepdims: 0 })
    return b.op('Sub', [largest, this.#logitOf(label)])
  }

  #divergence(probabilities: string): string {
    const b = this.#b
    const zero = b.scalar(0)
    const present = b.op('Greater', [probabilities, zero])
    const logs = b.op('Log', [b.op('Where', [present, probabilities, b.scalar(1)])])
    const difference = b.op('Sub', [logs, b.op('LogSoftmax', [this.#logits], { axis: 1 })])
    return this.#sum(b.op('Mul', [probabilities, difference]))
  }

  #over(numerator: string, denominator: string): string {
    const b = this.#b
    return b.op('Div', [numerator, b.op('Add', [denominator, b.scalar(TINY)])])
  }

  /** [batch, classes], true at the label. */
  #isLabel(label: string): string {
    const b = this.#b
    return b.op('Equal', [b.op('Unsqueeze', [label, b.int64s([1])]), this.#labels])
  }

  #others(label: string): string {
    const b = this.#b
    return b.op('Where', [this.#isLabel(label), b.scalar(LOWEST), this.#logits])
  }

  #logitOf(label: string): string {
    const b = this.#b
    return this.#sum(b.op('Where', [this.#isLabel(label), this.#logits, b.scalar(0)]))
  }

  #sum(value: string): string {
    const b = this.#b
    return b.op('ReduceSum', [value, b.int64s([1])], { keepdims: 0 })
  }

  /** The largest logits in descending order, each [batch]. */
  #largest(count: number): string[] {
    const b = this.#b
    const [values] = b.ops('TopK', [this.#logits, b.int64s([count])], { axis: 1 }, { outputs: 2 })
    const columns = b.ops('Split', [values!, b.int64s(Array(count).fill(1))], { axis: 1 }, { outputs: count })
    return columns.map((column) => b.op('Squeeze', [column, b.int64s([1])]))
  }
}

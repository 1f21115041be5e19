import type { Emitter } from '../emitter.ts'
import { once } from '../once.ts'
import { type Call, type RuleTable, rule } from '../rule.ts'
import { fixed, type Size, type Sizes } from '../sizes.ts'
import { unbroadcast } from '../unbroadcast.ts'
import { unsupported } from '../unsupported.ts'

export const attention: RuleTable = {
  Attention: rule((call) => {
    const heads = headsOf(call)
    const inner = once(() => backwards(call, heads))
    const mask = call.x[3]
    return [
      () => joined(call, inner().dq, 0),
      () => joined(call, inner().dk, 1),
      () => joined(call, inner().dv, 2),
      () => unbroadcast(call.op, inner().ds, inner().scores, call.facts.sizes(mask!)),
    ]
  }),
}

interface Heads {
  readonly query: number
  readonly keyValue: number
}

/** Queries, keys and values are [N, heads, length, features], or [N, length, heads x features] with the heads given. */
function headsOf(call: Call): Heads {
  const { x, facts, attributes, node } = call
  if (x[4] || x[5]) throw unsupported(call, 'past keys and values')
  if (node.outputs.slice(1).some((output) => output !== '')) throw unsupported(call, 'several outputs')
  const of = (input: number, attribute: string): number =>
    facts.sizes(x[input]!).length === 4
      ? fixed([facts.sizes(x[input]!)[1]!], 'the number of heads')[0]!
      : attributes.int(attribute, 1)
  return { query: of(0, 'q_num_heads'), keyValue: of(1, 'kv_num_heads') }
}

/** y = softmax(scale q k^T + mask) v, recomputed; then back through it, per head. */
function backwards(call: Call, heads: Heads) {
  const { op, x, facts, attributes } = call
  const [q, k, v] = [0, 1, 2].map((i) => perHead(call, x[i]!, i === 0 ? heads.query : heads.keyValue)) as [
    Split,
    Split,
    Split,
  ]
  const group = heads.query / heads.keyValue
  const keys = repeated(op, k, group)
  const values = repeated(op, v, group)
  const features = fixed([q.sizes[3]!], 'the number of features')[0]!
  const scale = attributes.float('scale', 1 / Math.sqrt(features))
  const scores: Sizes = [q.sizes[0]!, heads.query, q.sizes[2]!, k.sizes[2]!]
  const cap = attributes.float('softcap', 0)
  const raw = op.scale(op.matMul(q.value, op.transpose(keys, [0, 1, 3, 2])), scale)
  const bounded = cap > 0 ? op.op('Tanh', [op.scale(raw, 1 / cap)]) : undefined
  const capped = bounded ? op.scale(bounded, cap) : raw
  const p = op.op('Softmax', [masked(call, capped, scores)], { axis: -1 })
  const dy = perHead(call, call.dy, heads.query, facts.sizes(call.y)).value
  const dp = op.matMul(dy, op.transpose(values, [0, 1, 3, 2]))
  const weighted = op.mul(p, dp)
  const ds = op.sub(weighted, op.mul(p, op.sum(weighted, [3], true)))
  const dRaw = op.scale(bounded ? op.mul(ds, op.sub(op.scalar(1), op.square(bounded))) : ds, scale)
  return {
    ds,
    scores,
    dq: op.matMul(dRaw, keys),
    dk: grouped(op, op.matMul(op.transpose(dRaw, [0, 1, 3, 2]), q.value), k.sizes, group),
    dv: grouped(op, op.matMul(op.transpose(p, [0, 1, 3, 2]), dy), v.sizes, group),
  }
}

interface Split {
  readonly value: string
  readonly sizes: Sizes
}

/** [N, heads, length, features]. */
function perHead(
  { op, facts }: Call,
  value: string,
  heads: number,
  sizes: Sizes = facts.sizes(value),
): Split {
  if (sizes.length === 4) return { value, sizes }
  const [batch, length, width] = sizes as [Size, Size, number]
  const split = op.reshape(value, [batch, length, heads, width / heads])
  return { value: op.transpose(split, [0, 2, 1, 3]), sizes: [batch, heads, length, width / heads] }
}

/** Back to the input's own shape. */
function joined({ op, x, facts }: Call, gradient: string, input: number): string {
  const sizes = facts.sizes(x[input]!)
  return sizes.length === 4 ? gradient : op.reshape(op.transpose(gradient, [0, 2, 1, 3]), sizes)
}

/** Each key and value head serves `group` query heads. */
function repeated(op: Emitter, { value, sizes }: Split, group: number): string {
  if (group === 1) return value
  const [batch, heads, length, features] = sizes as [Size, number, Size, Size]
  const copies = op.expand(op.reshape(value, [batch, heads, 1, length, features]), [1, 1, group, 1, 1])
  return op.reshape(copies, [batch, heads * group, length, features])
}

function grouped(op: Emitter, value: string, sizes: Sizes, group: number): string {
  if (group === 1) return value
  const [batch, heads, length, features] = sizes as [Size, number, Size, Size]
  return op.sum(op.reshape(value, [batch, heads, group, length, features]), [2], false)
}

/** Adds the mask, or minus infinity where it is false or lies in the future. */
function masked({ op, x, facts, attributes }: Call, scores: string, sizes: Sizes): string {
  const mask = x[3]
  const never = op.scalar(Number.NEGATIVE_INFINITY)
  let result = scores
  if (mask) result = facts.dtype(mask) === 'bool' ? op.where(mask, scores, never) : op.add(scores, mask)
  if (attributes.int('is_causal', 0)) {
    const lower = op.op('Trilu', [op.filled(sizes.slice(2), 1)], { upper: 0 })
    result = op.where(op.op('Equal', [lower, op.scalar(1)]), result, never)
  }
  return result
}

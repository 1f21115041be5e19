import { type Call, type RuleTable, rule } from '../rule.ts'
import type { Size, Sizes } from '../sizes.ts'
import { unbroadcast } from '../unbroadcast.ts'
import { unsupported } from '../unsupported.ts'

export const einsum: RuleTable = {
  Einsum: rule((call) => call.x.map((_, i) => () => operandGradient(call, i))),
}

interface Equation {
  /** One letter per axis of each operand. */
  readonly operands: readonly string[]
  readonly output: string
}

/**
 * Exchanges one operand with the output. Letters that stand in that operand alone were summed over: the gradient is the
 * same along them.
 */
function operandGradient(call: Call, which: number): string {
  const { op, dy, x, facts } = call
  const { operands, output } = parse(call)
  const own = operands[which]!
  if (new Set(own).size < own.length) throw unsupported(call, 'a repeated index in one operand')
  const others = operands.filter((_, i) => i !== which)
  const known = [...own]
    .filter((letter) => output.includes(letter) || others.some((o) => o.includes(letter)))
    .join('')
  const inputs = [dy, ...x.filter((_, i) => i !== which)]
  const gradient = op.op('Einsum', inputs, { equation: `${[output, ...others].join()}->${known}` })
  const sizeOf = sizesByLetter(call, operands)
  const sizes = facts.sizes(x[which]!)
  const full: Sizes = [...known].map((letter) => sizeOf.get(letter)!)
  const reduced: Sizes = [...known].map((letter) => sizes[own.indexOf(letter)]!)
  // An operand whose axis has size 1 under the ellipsis was broadcast.
  const summed = unbroadcast(op, gradient, full, reduced)
  if (known.length === own.length) return summed
  const kept = [...own].map((letter, axis): Size => (known.includes(letter) ? sizes[axis]! : 1))
  return op.expand(
    op.reshape(summed, kept),
    sizes.map((size, axis) => (known.includes(own[axis]!) ? 1 : size)),
  )
}

function sizesByLetter({ x, facts }: Call, operands: readonly string[]): Map<string, Size> {
  const sizes = new Map<string, Size>()
  for (const [i, letters] of operands.entries())
    for (const [axis, letter] of [...letters].entries()) {
      const size = facts.sizes(x[i]!)[axis]!
      if (!sizes.has(letter) || sizes.get(letter) === 1) sizes.set(letter, size)
    }
  return sizes
}

/** The equation with an output, and with letters in the place of ellipses. */
function parse(call: Call): Equation {
  const { attributes, facts, x } = call
  const [left, right] = attributes.string('equation', '').replaceAll(' ', '').split('->') as [string, string?]
  const terms = left.split(',')
  const used = new Set(left.replaceAll(/[.,]/g, ''))
  const free = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'].filter(
    (letter) => !used.has(letter),
  )
  const hidden = (term: string, i: number): number =>
    term.includes('...') ? facts.sizes(x[i]!).length - (term.length - 3) : 0
  const most = Math.max(0, ...terms.map(hidden))
  const ellipsis = free.slice(0, most).join('')
  const operands = terms.map((term, i) => term.replace('...', ellipsis.slice(most - hidden(term, i))))
  const output = right === undefined ? implicitOutput(operands, ellipsis) : right.replace('...', ellipsis)
  return { operands, output }
}

/** Without an output: the ellipsis, then the letters that stand once, in alphabetical order. */
function implicitOutput(operands: readonly string[], ellipsis: string): string {
  const letters = [...operands.join('')].filter((letter) => !ellipsis.includes(letter))
  const single = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter))
  return ellipsis + single.sort().join('')
}

import { type InputDescription, inputSchema } from '../../manifests/schema/input.ts'
import type { Track } from '../../manifests/schema/leaderboard.ts'
import { parseEps } from '../eps.ts'
import { epsText } from './format.ts'

/** Evaluations as `zoo eval` is called for them, word by word. */

/** Battery and threat; eps in a form that is read back exactly. */
export function threatWords({ threat, battery }: Pick<Track, 'threat' | 'battery'>): string[] {
  const words = ['--battery', battery.id, '--norm', threat.norm]
  if (threat.eps === null) return words
  const text = epsText(threat.eps)
  return [...words, '--eps', parseEps(text) === threat.eps ? text : String(threat.eps)]
}

const USUAL = inputSchema.parse({})

/** How a bare file wants its images, as far as that isn't the usual. */
export function inputWords(input: InputDescription): string[] {
  const { range, channels, mean, std, layout, size, labelOffset } = input
  const flags: [name: string, value: string | number | undefined, usual?: string | number][] = [
    ['--range', range.join(','), USUAL.range.join(',')],
    ['--channels', channels, USUAL.channels],
    ['--mean', mean?.join(',')],
    ['--std', std?.join(',')],
    ['--layout', layout, USUAL.layout],
    ['--size', size?.join('x')],
    ['--label-offset', labelOffset, USUAL.labelOffset],
  ]
  return flags.flatMap(([name, value, usual]) =>
    value === undefined || value === usual ? [] : [name, String(value)],
  )
}

/** As a line for a shell: words with anything unusual in them are quoted. */
export const shellLine = (words: readonly string[]): string =>
  words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')

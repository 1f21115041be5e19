import type { Entry } from '../../../manifests/schema/leaderboard.ts'
import type { Share } from '../../../manifests/schema/result.ts'
import { type Html, html } from './html.ts'

/**
 * Robust and clean accuracy of one model as bars on a common axis from 0 to 100 %, each with its 95 % interval as
 * a whisker. The same figures stand in the row as text, so a screen reader skips the drawing.
 */
export const intervals = ({ clean, robust }: Pick<Entry, 'clean' | 'robust'>): Html =>
  html`<svg class="interval" viewBox="0 0 100 32" preserveAspectRatio="none" aria-hidden="true">${bar('robust', robust, 4, 12)}${bar('clean', clean, 21, 6)}</svg>`

function bar(
  kind: 'clean' | 'robust',
  { accuracy, interval: [low, high] }: Share,
  y: number,
  height: number,
): Html {
  const [a, b] = [at(low), at(high)]
  const middle = y + height / 2
  return html`<path class="${kind}" d="M0 ${y}H${at(accuracy)}V${y + height}H0z"/><path class="whisker" d="M${a} ${middle}H${b}M${a} ${middle - 3}v6M${b} ${middle - 3}v6"/>`
}

const at = (fraction: number): string => String(Number((fraction * 100).toFixed(2)))

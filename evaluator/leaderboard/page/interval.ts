import type { Accuracy, Entry } from '../../../manifests/schema/leaderboard.ts'
import { type Html, html } from './html.ts'

/**
 * Clean and robust accuracy of one model on a common axis from 0 to 100 %: a dot each, the 95 % interval behind.
 * The same figures stand in the row as text, so a screen reader skips the drawing.
 */
export const intervals = ({ clean, robust }: Pick<Entry, 'clean' | 'robust'>): Html =>
  html`<svg class="interval" viewBox="0 0 100 34" preserveAspectRatio="none" aria-hidden="true">${[
    0, 50, 100,
  ].map((x) => html`<line class="grid" x1="${x}" x2="${x}" y1="0" y2="34"/>`)}${mark(
    'clean',
    clean,
    11,
  )}${mark('robust', robust, 23)}</svg>`

function mark(kind: 'clean' | 'robust', { accuracy, interval: [low, high] }: Accuracy, y: number): Html {
  const x = at(accuracy)
  const hole = kind === 'clean' ? html`<line class="hole" x1="${x}" x2="${x}" y1="${y}" y2="${y}"/>` : null
  return html`<line class="spread ${kind}" x1="${at(low)}" x2="${at(high)}" y1="${y}" y2="${y}"/><line class="value ${kind}" x1="${x}" x2="${x}" y1="${y}" y2="${y}"/>${hole}`
}

const at = (fraction: number): string => String(Number((fraction * 100).toFixed(2)))

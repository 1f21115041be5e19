import type { Result } from '../../../manifests/schema/result.ts'
import { duration, percent, short } from '../format.ts'
import { type Content, type Html, html } from './html.ts'
import { intervalText } from './words.ts'

/** What each attack left, and what it cost. Columns that no attack of the battery fills are left out. */
export function attackTable(
  { attacks, skipped }: Pick<Result, 'attacks' | 'skipped'>,
  aggregation: Result['battery']['aggregation'],
  images: number,
): Html {
  const caption =
    aggregation === 'worst-case'
      ? 'In this order; each attack runs on the images that still stand, and the accuracy is what is left after it.'
      : 'Each attack runs on every image, and the accuracy is what it leaves by itself.'
  const targeted = attacks.some(({ targetRate }) => targetRate !== undefined)
  const minimal = attacks.some(({ medianNorm }) => medianNorm !== undefined)
  const heading = (name: string) => html`<th scope="col" class="number">${name}</th>`
  const cell = (content: Content) => html`<td class="number">${content}</td>`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Attack by attack"><table>
<caption>${caption}</caption>
<thead><tr><th scope="col">Attack</th>${['Accuracy', '95 % interval'].map(heading)}${targeted && heading('Attack success')}${minimal && heading('Median perturbation')}${['Forward passes per image', 'Gradients per image', 'Time'].map(heading)}</tr></thead>
<tbody>${attacks.map(
    ({ name, robustAccuracy, interval, targetRate, medianNorm, forwards, backwards, seconds }) =>
      html`<tr><th scope="row">${name}</th>${cell(percent(robustAccuracy))}${cell(intervalText(interval))}${targeted && cell(targetRate === undefined ? '' : percent(targetRate))}${minimal && cell(medianNorm == null ? '' : String(Number(medianNorm.toPrecision(3))))}${cell(short(forwards / images))}${cell(short(backwards / images))}${cell(duration(seconds))}</tr>
`,
  )}</tbody></table></div>
${skipped.length > 0 && html`<p class="small soft">Left out: ${skipped.map(({ name, reason }) => `${name} (${reason})`).join(', ')}.</p>`}`
}

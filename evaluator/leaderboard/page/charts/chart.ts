import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { type Content, type Html, html, raw } from '../html.ts'

/** A chart, its reading, and the same data as a table. */
export interface Chart {
  readonly title: string
  /** What it shows and how to read it, in a sentence or two. */
  readonly text: string
  readonly svg: Html
  readonly legend?: Html | undefined
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Content[])[]
}

const WIDTH = 470
const HEIGHT = 334

const GEOMETRY = new Set(['d', 'transform', 'x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'r'])
const rounded = (number: string): string => String(Number(Number(number).toFixed(2)))

/** Draws at build time, into a document of its own; colours are the page's custom properties, so both themes hold. */
export function draw(label: string, options: Plot.PlotOptions): Html {
  const { document } = parseHTML('<!doctype html><html lang="en"><body></body></html>')
  const svg = Plot.plot({
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 48,
    marginBottom: 50,
    marginTop: 30,
    marginRight: 22,
    className: 'plot',
    style: { fontSize: '14px', background: 'none' },
    ...options,
    document,
  })
  // An image is one thing to a screen reader: labels inside it are noise, and not allowed.
  for (const group of svg.querySelectorAll('[aria-label]')) group.removeAttribute('aria-label')
  // A hundredth of a pixel is enough, and a page has a size to keep.
  for (const element of svg.querySelectorAll('*'))
    for (const { name, value } of element.attributes)
      if (GEOMETRY.has(name)) element.setAttribute(name, value.replace(/\d+\.\d{3,}/g, rounded))
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', label)
  return raw(String(svg.outerHTML))
}

export const figure = ({ title, text, svg, legend, columns, rows }: Chart): Html => html`<figure>
<figcaption><h3>${title}</h3><p>${text}</p></figcaption>
${legend}${svg}
<details><summary>The data as a table</summary><div class="scroll" tabindex="0" role="region" aria-label="${title}, as a table"><table>
<thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows.map(
  ([first, ...rest]) =>
    html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
)}</tbody></table></div></details>
</figure>`

/** A range that shows all values with some air, within [0, 100]. */
export function percentDomain(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const air = Math.max(2, (high - low) * 0.12)
  return [Math.max(0, low - air), Math.min(100, high + air)]
}

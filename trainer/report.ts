import { join } from 'node:path'
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { writeFileAtomic } from '../manifests/atomic.ts'
import type { Checkpoint } from './checkpoint/checkpoint.ts'
import type { HistoryRow } from './history.ts'
import type { Run } from './run.ts'

interface Curve {
  readonly title: string
  /** Figures of the history, with what the report calls them. */
  readonly series: Readonly<Record<string, string>>
  readonly percent?: boolean
}

const CURVES: readonly Curve[] = [
  {
    title: 'Accuracy on held-out images',
    series: { cleanAccuracy: 'clean', robustAccuracy: 'under attack' },
    percent: true,
  },
  { title: 'Loss in training', series: { loss: 'loss', cleanLoss: 'on clean images' } },
  { title: 'Accuracy in training', series: { accuracy: 'on what was trained on' }, percent: true },
  { title: 'Learning rate', series: { learningRate: 'learning rate' } },
  { title: 'Images per second', series: { imagesPerSecond: 'images per second' } },
]

/** `RUN/report.html`: one file without scripts that shows how a run goes or went. Written anew at each checkpoint. */
export const writeReport = (folder: string, run: Run, checkpoint: Checkpoint, total: number): Promise<void> =>
  writeFileAtomic(join(folder, 'report.html'), report(run, checkpoint, total))

function report(run: Run, { backend, step, seconds, history, finished }: Checkpoint, total: number): string {
  const { recipe, data } = run
  const facts: [string, string][] = [
    ['Data', `${data.name}, ${data.size} images`],
    ['Method', recipe.method.name],
    ['Backend', backend],
    ['Progress', `${step} of ${total} steps of ${recipe.batch} images`],
    ['Time', `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`],
    ...(run.from ? [['Started from', run.from.name] as [string, string]] : []),
    ...(finished === undefined ? [] : [['Ended early', finished] as [string, string]]),
  ]
  const charts = CURVES.map((curve) => chart(curve, history)).join('\n')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(recipe.name)}: training</title>
<style>${STYLE}</style>
<main>
<h1>${escaped(recipe.name)}</h1>
<p>${escaped(recipe.description)}</p>
<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`).join('')}</dl>
${charts}
</main>
</html>
`
}

function chart({ title, series, percent }: Curve, history: readonly HistoryRow[]): string {
  const factor = percent ? 100 : 1
  const points = Object.entries(series).flatMap(([figure, name]) =>
    history.filter((row) => figure in row).map((row) => ({ x: row.epoch!, y: factor * row[figure]!, name })),
  )
  if (points.length === 0) return ''
  const names = [...new Set(points.map(({ name }) => name))]
  const sparse = points.length < 60
  const { document } = parseHTML('<!doctype html><html lang="en"><body></body></html>')
  const svg = Plot.plot({
    document,
    width: 720,
    height: 280,
    marginLeft: 56,
    style: { background: 'none', fontSize: '13px' },
    x: { label: 'epoch', zero: true },
    y: { label: percent ? '%' : null, grid: true, zero: true, ...(percent && { domain: [0, 100] }) },
    color: { domain: names, range: names.map((_, i) => `var(--s${i + 1})`) },
    marks: [
      Plot.line(points, { x: 'x', y: 'y', z: 'name', stroke: 'name', strokeWidth: 1.5 }),
      ...(sparse ? [Plot.dot(points, { x: 'x', y: 'y', fill: 'name', r: 2.5 })] : []),
    ],
  })
  // To a screen reader an image is one thing.
  for (const group of svg.querySelectorAll('[aria-label]')) group.removeAttribute('aria-label')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', title)
  const legend = names.map((name, i) => `<span style="color:var(--s${i + 1})">— ${name}</span>`).join(' ')
  return `<figure><figcaption><h2>${title}</h2>${names.length > 1 ? legend : ''}</figcaption>${svg.outerHTML}</figure>`
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!)

const STYLE = `
:root { color-scheme: light dark; --s1: light-dark(#0b57c2, #7db3ff); --s2: light-dark(#b1540a, #f2ab58); }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: .5rem 1.5rem; }
dt { font-size: .85rem; opacity: .75; } dd { margin: 0; }
figure { margin: 2rem 0; } h2 { font-size: 1.05rem; margin: 0; } svg { max-width: 100%; height: auto; }
`

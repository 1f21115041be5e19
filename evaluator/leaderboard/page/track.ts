import type { ReportedEntry, Track } from '../../../manifests/schema/leaderboard.ts'
import { shellLine, threatWords } from '../command.ts'
import { day, percent } from '../format.ts'
import { figure } from './charts/chart.ts'
import { trackCharts } from './charts/track.ts'
import { type Html, html, link } from './html.ts'
import { page } from './layout.ts'
import { seedTable } from './seeds.ts'
import { boardTable, inWords } from './table.ts'
import {
  aggregationText,
  batteryText,
  dataTitle,
  finding,
  imagesText,
  models,
  threatText,
  trackTitle,
} from './words.ts'

/** The page of one track. It lies in `vN/TRACK/`. */
export function trackPage(track: Track, siblings: readonly Track[]): string {
  const { entries, version, date, seed } = track
  const root = '../../'
  const summary = finding(track)
  return page({
    title: `${trackTitle(track)} – robustness leaderboard`,
    description: `Adversarial robustness of ${models(entries.length)} on ${dataTitle(track)}: ${inWords(track)}.`,
    root,
    trail: [
      { text: 'Robustness leaderboard', href: `${root}index.html` },
      { text: `Version ${version}`, href: '../index.html' },
      { text: `${dataTitle(track)}, ${threatText(track)}` },
    ],
    body: html`
<h1>${dataTitle(track)} under attack, ${threatText(track)}</h1>
<p>Clean and robust accuracy of ${models(entries.length)}, each attacked white-box as the very ONNX file that is named by its digest. ${aggregationText(track)}</p>
${summary && html`<p class="finding">${summary}</p>`}
<dl class="facts">
${fact('Battery', batteryText(track))}
${fact('Images', imagesText(track))}
${fact('Models', String(entries.length))}
${fact('Board version', String(version))}
${seed !== undefined && fact('Seed', String(seed))}
${fact('Last evaluation', day(date))}
${fact('Data', html`<a href="track.json">track.json</a>`)}
</dl>
<h2 id="models">Models</h2>
<p class="small soft">A rank such as 1–3 is a band: paired tests cannot tell which of these places is the model’s.</p>
${controls(track)}
${boardTable(entries, { root, folder: '', caption: caption(track), sortable: true })}
${seedTable(track)}
${charts(track, siblings)}
${reported(track)}
<h2 id="join">Get on this board</h2>
<p>Evaluate your model with the command below, for as many images as the others, and check the folder that it leaves. Then open a pull request with it.</p>
${command(joinCommand(track))}
${command('zoo leaderboard check LEDGER --model MODEL.onnx')}
`,
  })
}

const fact = (name: string, value: Html | string): Html => html`<div><dt>${name}</dt><dd>${value}</dd></div>`

const caption = (track: Track): string =>
  `${trackTitle(track)}. Accuracies with 95 % intervals, in percent; each links to the outcomes of every image.`

function controls({ entries }: Track): Html {
  return html`<form class="controls" hidden role="search" aria-label="Filter the models">
<label>Search<input type="search" name="words" placeholder="name, architecture, sha256 …" autocomplete="off"></label>
${facet(
  'Architecture',
  'architecture',
  entries.map(({ model }) => model.architecture),
)}${facet(
  'Normalisation',
  'normalisation',
  entries.map(({ model }) => model.normalisation),
)}${entries.some(({ flags }) => flags.length > 0) && html`<label class="tick"><input type="checkbox" name="unflagged">without flags</label>`}
<output aria-live="polite"></output>
</form>`
}

function facet(title: string, name: string, values: readonly (string | undefined)[]): Html | null {
  const options = [...new Set(values.filter((value) => value !== undefined))].sort()
  if (options.length < 2) return null
  return html`<label>${title}<select name="${name}"><option value="">all</option>${options.map((value) => html`<option>${value}</option>`)}</select></label>`
}

function charts(track: Track, siblings: readonly Track[]): Html | null {
  const drawn = trackCharts(track, siblings)
  if (drawn.length === 0) return null
  return html`<h2 id="charts">Charts</h2><div class="figures">${drawn.map(figure)}</div>`
}

/** Figures from elsewhere stand in a table of their own: they were not measured here and take no rank. */
function reported({ reported: entries }: Track): Html | null {
  if (entries.length === 0) return null
  const rows = [...entries].sort((a, b) => (b.bestKnown ?? b.robust) - (a.bestKnown ?? a.robust))
  const sources = [...new Set(entries.map(({ source }) => source))]
  return html`<h2 id="reported">Reported elsewhere</h2>
<p class="small soft">For orientation: figures that others published for this threat, not measured here and not ranked. ${sources.map((source, i) => html`${i > 0 && ', '}${link(source, `Source${sources.length > 1 ? ` ${i + 1}` : ''}`)}`)}.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Figures reported elsewhere"><table>
<thead><tr><th scope="col">Model</th><th scope="col" class="number">Robust</th><th scope="col" class="number">Best known attack</th><th scope="col" class="number">Clean</th><th scope="col" class="number">Images</th><th scope="col">Note</th></tr></thead>
<tbody>${rows.map(reportedRow)}</tbody></table></div>`
}

const reportedRow = ({ name, robust, bestKnown, clean, images, note }: ReportedEntry): Html =>
  html`<tr><th scope="row">${name}</th><td class="number">${percent(robust, 2)}</td><td class="number">${bestKnown === undefined ? '–' : percent(bestKnown, 2)}</td><td class="number">${clean === undefined ? '–' : percent(clean, 2)}</td><td class="number">${images}</td><td class="soft">${note}</td></tr>
`

/** A command with a button that copies it, where a script can. */
export const command = (text: string): Html =>
  html`<div class="command"><pre tabindex="0"><code>${text}</code></pre><button type="button" data-copy hidden>Copy</button></div>`

/** What a newcomer runs: the track's threat and battery, on as many images as the others. */
function joinCommand({ dataset, threat, battery, entries }: Track): string {
  const count = Math.max(...entries.map(({ images }) => images.count))
  return shellLine([
    ...['zoo', 'eval', 'MODEL.onnx', '--data', dataset.name, ...threatWords({ threat, battery })],
    ...['--limit', String(count), '--out', 'LEDGER'],
  ])
}

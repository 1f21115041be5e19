import type { Entry, Track } from '../../../manifests/schema/leaderboard.ts'
import { day, epsText, NORMS, percent, short } from '../format.ts'
import { attackTable } from './attacks.ts'
import { figure } from './charts/chart.ts'
import { budgetChart, iterationChart, securityChart } from './charts/track.ts'
import { type Content, type Html, html, link } from './html.ts'
import { page } from './layout.ts'
import { command } from './track.ts'
import { dataTitle, intervalText, modelPage, rankText, threatText, trackTitle } from './words.ts'

/** The page of one model in one track. It lies in `vN/TRACK/` beside the track's page. */
export function modelPageOf(
  entry: Entry,
  { track, siblings, pictured }: { track: Track; siblings: readonly Track[]; pictured: boolean },
): string {
  const { model, clean, robust, rank } = entry
  const root = '../../'
  return page({
    title: `${model.name} – ${trackTitle(track)}`,
    description: `${model.name}: ${percent(robust.accuracy)} robust and ${percent(clean.accuracy)} clean accuracy on ${dataTitle(track)}, ${threatText(track)}.`,
    root,
    trail: [
      { text: 'Robustness leaderboard', href: `${root}index.html` },
      { text: `Version ${track.version}`, href: '../index.html' },
      { text: `${dataTitle(track)}, ${threatText(track)}`, href: 'index.html' },
      { text: model.name },
    ],
    body: html`
<h1>${model.name}</h1>
${model.description && html`<p>${model.description}</p>`}
<ul class="chips" aria-label="In short">${chips(entry).map((chip) => html`<li class="chip">${chip}</li>`)}</ul>
<div class="heads">
${head('Robust accuracy', 'robust', entry.robust, entry, root)}
${head('Clean accuracy', 'clean', entry.clean, entry, root)}
<div class="head"><span class="label">Rank in this track</span><strong>${rankText(rank)}</strong><span class="label">of ${track.entries.length}, by paired tests</span></div>
</div>
${flags(entry)}
<h2 id="attacks">Attack by attack</h2>
${attackTable(entry, track.battery.aggregation, entry.images.count)}
${charts(entry, track)}
${pictured && pictures(entry, root)}
<h2 id="use">Use it, reproduce it</h2>
${model.version !== undefined && html`<p class="small soft">Get the model, verified to the byte:</p>${command(`zoo pull ${model.name}@${model.version}`)}`}
<p class="small soft">Evaluate it again; the same versions of the software on the same kind of processor give the same outcomes, image by image:</p>
${command(entry.command)}
${model.version !== undefined && html`<h2 id="card">Card</h2>${definitions(card(entry))}`}
<h2 id="evidence">Evidence</h2>
${definitions(evidence(entry, root))}
${elsewhere(entry, track, siblings)}
`,
  })
}

function chips({ model }: Entry): string[] {
  return [
    model.architecture,
    model.normalisation,
    model.branch && model.branch !== 'main' ? `${model.branch} branch` : undefined,
    model.parameters === undefined ? undefined : `${short(model.parameters)} parameters`,
    model.trainedFor && `trained for ${NORMS[model.trainedFor.norm]} ${epsText(model.trainedFor.eps)}`,
    model.licence,
  ].filter((chip) => chip !== undefined && chip !== '') as string[]
}

const head = (
  label: string,
  kind: 'robust' | 'clean',
  { accuracy, interval }: Entry['clean'],
  { ledger }: Entry,
  root: string,
): Html =>
  html`<div class="head"><span class="label"><span class="key ${kind}" aria-hidden="true"></span>${label}</span><strong><a class="evidence" href="${root}${ledger.path}/examples.json">${percent(accuracy)}</a></strong><span class="label">95 % interval ${intervalText(interval)}</span></div>`

function flags({ flags }: Entry): Html | null {
  if (flags.length === 0) return null
  return html`<section id="flags" aria-label="Warning flags">${flags.map(
    ({ name, reason, explanation }) =>
      html`<div class="warning"><b>⚑ ${name}</b> – ${reason}${explanation && html`<br><span class="small">The submitter explains: ${explanation}</span>`}</div>`,
  )}</section>`
}

function charts(entry: Entry, track: Track): Html | null {
  const drawn = [iterationChart([entry], track), budgetChart([entry]), securityChart([entry], track)].filter(
    (chart) => chart !== undefined,
  )
  return drawn.length === 0 ? null : html`<div class="figures">${drawn.map(figure)}</div>`
}

/** What the attack made of some images, to look at. */
const pictures = ({ ledger }: Entry, root: string): Html => html`<h2 id="pictures">Broken images</h2>
<figure class="pictures"><figcaption><p>Above the image, below it what the attack made of it, then the difference, amplified around grey. The model names the first rightly and the second wrongly.</p></figcaption>
<img src="${root}${ledger.path}/pictures.png" alt="Images that the attack broke: each as it was, as it was after the attack, and the amplified difference" loading="lazy"></figure>`

function card({ model }: Entry): [string, Content][] {
  return [
    ['Version', model.version],
    ['Architecture', model.architecture],
    ['Normalisation', model.normalisation],
    ['Branch', model.branch],
    ['Depth', model.depth && `${model.depth} layers`],
    ['Parameters', model.parameters && short(model.parameters)],
    ['Operations per image', model.flops && `${short(model.flops)}FLOP`],
    ['Method', model.method],
    [
      'Recipe',
      model.recipe &&
        (model.trainingSeed === undefined ? model.recipe : `${model.recipe}, seed ${model.trainingSeed}`),
    ],
    ['Clean ratio in training', model.cleanRatio],
    ['Licence', model.licence],
    ['Authors', model.authors.join(', ')],
    ['Paper', model.paper && link(model.paper)],
  ]
}

function evidence(entry: Entry, root: string): [string, Content][] {
  const { model, images, seed, software, provider, date, signer, ledger } = entry
  return [
    ['Model', html`<code>sha256:${model.sha256}</code>`],
    [
      'Ledger',
      html`<a href="${root}${ledger.path}/examples.json">outcomes of every image</a>, <a href="${root}${ledger.path}/result.json">result</a>, <code>sha256:${ledger.sha256}</code>`,
    ],
    ['Images', html`${images.count}, <code>sha256:${images.sha256}</code> of their indices`],
    ['Seed', seed],
    ['Provider', provider],
    [
      'Software',
      Object.entries(software)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['Evaluated', day(date)],
    ['Signed by', signer ?? 'nobody'],
  ]
}

const definitions = (rows: readonly [string, Content][]): Html =>
  html`<table class="plain"><tbody>${rows
    .filter(([, value]) => value !== undefined && value !== '' && value !== false)
    .map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>`

function elsewhere(entry: Entry, track: Track, siblings: readonly Track[]): Html | null {
  const others = siblings.flatMap((other) => {
    const same = other.entries.find(({ model }) => model.sha256 === entry.model.sha256)
    return same && other.id !== track.id ? [{ other, same }] : []
  })
  if (others.length === 0) return null
  return html`<h2 id="elsewhere">In other tracks</h2>
<table class="plain"><thead><tr><th scope="col">Track</th><th scope="col" class="number">Robust</th><th scope="col" class="number">Clean</th></tr></thead>
<tbody>${others.map(({ other, same }) => html`<tr><th scope="row"><a href="../${other.id}/${modelPage(same)}">${trackTitle(other)}</a></th><td class="number">${percent(same.robust.accuracy)}</td><td class="number">${percent(same.clean.accuracy)}</td></tr>`)}</tbody></table>`
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../manifests/package.ts'
import type { Result } from '../../manifests/schema/result.ts'
import { epsText, NORMS, percent, short } from '../leaderboard/format.ts'
import { attackTable } from '../leaderboard/page/attacks.ts'
import { figure } from '../leaderboard/page/charts/chart.ts'
import { lineChart } from '../leaderboard/page/charts/lines.ts'
import { type Content, type Html, html, raw } from '../leaderboard/page/html.ts'
import type { Plan } from '../protocol/plan.ts'
import type { Pictures } from './pictures.ts'

/** An evaluation for people, in one file that opens from disk: what was found, how, and how far to trust it. */
export function renderReport(result: Result, plan: Plan, pictures: Pictures | null): string {
  const { model, dataset, battery, threat, flags } = result
  const radius = threat.eps === null ? 'with each image’s own ε' : `ε = ${epsText(threat.eps)}`
  const title = `${model.name} · ${dataset.name} · ${NORMS[threat.norm]} ${radius}`
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<meta name="color-scheme" content="light dark">
<style>${raw(readFileSync(join(packageRoot, 'evaluator/leaderboard/page/style.css'), 'utf8'))}</style>
</head>
<body>
<main id="content">
<h1>${model.name}</h1>
<p>${dataset.examples} images of ${dataset.name}, ${NORMS[threat.norm]} ${radius}, battery ${battery.id} ${battery.version}.
${threat.targeted ? 'The attacks aim at a class; accuracy is against the true one.' : ''}</p>
<div class="heads">
${headline('Robust accuracy', 'robust', result.robust)}
${headline('Clean accuracy', 'clean', result.clean)}
</div>
${flags.map(({ name, reason }) => html`<div class="warning"><b>⚑ ${name}</b> – ${reason}</div>`)}
<h2>Attack by attack</h2>
${attackTable(result, battery.aggregation, dataset.examples)}
${budget(result)}
${pictures && grid(pictures)}
<h2>How it was made</h2>
${facts(result, plan)}
</main>
<footer><p>A robust accuracy is an upper bound: the accuracy left by the strongest attack that was tried. Intervals hold the true accuracy in 95 % of samples of images (Wilson). The outcome of every image is in <a href="examples.json">examples.json</a>; <code>zoo replay</code> runs every stored image again.</p></footer>
</body>
</html>
`.markup
}

const span = ([low, high]: readonly [number, number]): string => `${percent(low)} to ${percent(high)}`

const headline = (label: string, kind: 'robust' | 'clean', { accuracy, interval }: Result['robust']): Html =>
  html`<div class="head"><span class="label"><span class="key ${kind}" aria-hidden="true"></span>${label}</span><strong>${percent(accuracy)}</strong><span class="label">95 % interval ${span(interval)}</span></div>`

function budget({ curve, model, battery }: Result): Html | null {
  if (curve.length < 2) return null
  const chart = lineChart(
    [{ name: model.name, points: curve.map(({ backwards, accuracy }) => ({ x: backwards, accuracy })) }],
    {
      title: 'Accuracy against budget',
      text:
        battery.aggregation === 'worst-case'
          ? 'The share of images that no attack had broken within so many gradients. A line that still falls at its end says that more would break more.'
          : 'What each attack left, by the gradients that it spent on an image.',
      x: 'Gradients per image',
      xText: (x) => short(x),
      scale: 'sqrt',
    },
  )
  return html`<div class="figures">${figure(chart)}</div>`
}

const grid = ({ png, width, height, columns }: Pictures): Html => html`<h2>Broken images</h2>
<figure class="pictures"><figcaption><p>Above the image, below it what the attack made of it, then the difference, amplified around grey. From left to right: ${columns
  .map(
    ({ index, attack, label, prediction }) =>
      `image ${index}, class ${label} taken for ${prediction} (${attack})`,
  )
  .join('; ')}.</p></figcaption>
<img src="data:image/png;base64,${Buffer.from(png).toString('base64')}" width="${width}" height="${height}" alt="${columns.length} broken images: each as it was, as it was after the attack, and the amplified difference"></figure>`

function facts(result: Result, { jobs, measured, protocol }: Plan): Html {
  const { model, dataset, battery, seed, provider, software, plan, date } = result
  const rows: [string, Content][] = [
    ['Model', html`<code>sha256:${model.sha256}</code>`],
    ['Data', html`${dataset.examples} of ${dataset.size}, <code>sha256:${dataset.sha256}</code>`],
    ['Battery', html`${battery.id} ${battery.version}, <code>sha256:${battery.sha256}</code>`],
    ['Plan', html`<code>sha256:${plan}</code>`],
    ['Seed', seed],
    ['Provider', provider],
    [
      'Division of the cores',
      `${jobs} × ${protocol.threads} threads, batches of ${protocol.batch}${measured.length > 1 ? `; tried: ${measured.map((tried) => `${tried.jobs} × ${tried.threads}: ${tried.imagesPerSecond} gradients/s`).join(', ')}` : ''}`,
    ],
    [
      'Software',
      Object.entries(software)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['Finished', date],
  ]
  return html`<table class="plain"><tbody>${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table>`
}

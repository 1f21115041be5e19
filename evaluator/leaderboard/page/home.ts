import type { Board, Track } from '../../../manifests/schema/leaderboard.ts'
import { day } from '../format.ts'
import { html } from './html.ts'
import { page } from './layout.ts'
import { boardTable } from './table.ts'
import { finding, imagesText, models, trackTitle } from './words.ts'

/** So many models of each track stand on the front page. */
const EXCERPT = 5

/** All tracks of a version, the best models of each. `folder` leads from the page to the version's folder. */
export function homePage(board: Board, tracks: readonly Track[], root: string, folder: string): string {
  return page({
    title: 'Robustness leaderboard',
    description: `Adversarial robustness of ONNX image classifiers, ${tracks.length} tracks.`,
    root,
    trail: [
      { text: 'Robustness leaderboard', ...(root !== '' && { href: `${root}index.html` }) },
      { text: `Version ${board.version}` },
    ],
    body: html`
<h1>How robust is this image classifier, really?</h1>
<p>Every model here was attacked white-box as the very ONNX file that its digest names. Each track is one data set, one threat and one version of one battery of attacks; numbers of different tracks are never ranked together. Last evaluation: <time>${day(board.date)}</time>.</p>
<div class="cards">
${tracks.map(
  (track) => html`<section class="card" aria-labelledby="${track.id}">
<h2 id="${track.id}"><a href="${folder}${track.id}/index.html">${trackTitle(track)}</a></h2>
<p class="small soft">${finding(track) ?? `${imagesText(track)} images`}</p>
${boardTable(track.entries.slice(0, EXCERPT), {
  root,
  folder: `${folder}${track.id}/`,
  caption:
    track.entries.length > EXCERPT
      ? `The best ${EXCERPT} of ${track.entries.length}`
      : models(track.entries.length),
  sortable: false,
})}
</section>
`,
)}</div>`,
  })
}

/** Every version ever published, the newest first. */
export function versionsPage(boards: readonly Board[]): string {
  return page({
    title: 'All versions – robustness leaderboard',
    description: 'Every published version of the robustness leaderboard.',
    root: '',
    trail: [{ text: 'Robustness leaderboard', href: 'index.html' }, { text: 'All versions' }],
    body: html`
<h1>All versions</h1>
<p>A published version never changes. <code>zoo leaderboard compare</code> says what moved between two of them, and why.</p>
<table class="plain"><thead><tr><th scope="col">Version</th><th scope="col">Last evaluation</th><th scope="col">Tracks</th><th scope="col">What moved</th></tr></thead>
<tbody>${[...boards]
      .reverse()
      .map(
        ({ version, date, tracks }) =>
          html`<tr><th scope="row"><a href="v${version}/index.html">Version ${version}</a></th><td>${day(date)}</td><td>${tracks.map(({ id }) => html`<a href="v${version}/${id}/index.html">${id}</a> `)}</td><td>${version > 1 ? html`<a href="v${version}/changes.md">since version ${version - 1}</a>` : '–'}</td></tr>`,
      )}</tbody></table>`,
  })
}

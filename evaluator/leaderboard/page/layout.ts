import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../../manifests/package.ts'
import { type Content, type Html, html, raw } from './html.ts'

export interface PageParts {
  readonly title: string
  readonly description: string
  /** The way from this page to the board's folder: `../../`. */
  readonly root: string
  /** Where this page is, from the board's front page downwards; the last step is the page itself. */
  readonly trail: readonly { readonly text: string; readonly href?: string }[]
  readonly body: Content
}

const asset = (name: string): string =>
  readFileSync(join(packageRoot, 'evaluator/leaderboard/page', name), 'utf8')

/** A whole page in one file: style and script are inlined, so that it opens from disk and needs no server. */
export function page({ title, description, root, trail, body }: PageParts): string {
  const markup: Html = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<meta name="description" content="${description}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M8 1l6 2v5c0 4-3 6-6 7-3-1-6-3-6-7V3z' fill='%230b57c2'/%3E%3C/svg%3E">
<style>${raw(asset('style.css'))}</style>
<script>try{document.documentElement.dataset.theme=localStorage.getItem('zoo-theme')||''}catch{}</script>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="bar"><div>
<nav aria-label="Where you are"><ol>${trail.map(step)}</ol></nav>
<div class="right"><a href="${root}versions.html">All versions</a><button type="button" data-theme-toggle hidden>Theme</button></div>
</div></header>
<main id="content">
${body}
</main>
<footer>
<p>A robust accuracy is an upper bound: the accuracy left by the strongest attack that was tried. Every number links to the outcomes of every image behind it. Intervals hold the true accuracy in 95 % of samples of images (Wilson).</p>
<p>Made by <code>zoo leaderboard build</code> of robust-zoo.</p>
</footer>
<script type="module">${raw(asset('client.js'))}</script>
</body>
</html>
`
  return markup.markup
}

function step({ text, href }: PageParts['trail'][number], i: number): Html {
  return href
    ? html`<li><a${i === 0 && html` class="home"`} href="${href}">${text}</a></li>`
    : html`<li><span aria-current="page">${text}</span></li>`
}

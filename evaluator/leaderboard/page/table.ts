import type { Entry, Track } from '../../../manifests/schema/leaderboard.ts'
import { percent, short } from '../format.ts'
import { type Html, html, raw } from './html.ts'
import { intervals } from './interval.ts'
import { accuracyCell, kindOf, modelPage, rankText } from './words.ts'

export interface TableOptions {
  /** The way to the board's folder. */
  readonly root: string
  /** The way to the track's folder. */
  readonly folder: string
  readonly caption: string
  /** On a track's own page rows can be sorted and filtered; elsewhere the table is an excerpt. */
  readonly sortable: boolean
}

interface Column {
  readonly title: string
  /** Where the title is too long: a phone has a third of its width for it. */
  readonly label?: string
  /** Which way a first click sorts. */
  readonly sort?: 'ascending' | 'descending'
  readonly value?: (entry: Entry) => string | number
  readonly class: string
  readonly cell: (entry: Entry, options: TableOptions) => Html
}

const AXIS = html`<span class="axis" aria-hidden="true"><span>0</span><span>50</span><span>100 %</span></span><span class="unseen">Accuracy drawn</span>`

const COLUMNS: readonly Column[] = [
  {
    title: 'Rank',
    sort: 'ascending',
    value: ({ rank }) => rank.best + rank.worst / 1e4,
    class: 'rank',
    cell: ({ rank }) => html`${rankText(rank)}`,
  },
  {
    title: 'Model',
    sort: 'ascending',
    value: ({ model }) => model.name,
    class: 'name',
    cell: (entry, { folder }) =>
      html`<a href="${folder}${modelPage(entry)}">${entry.model.name}</a><span>${kindOf(entry)}</span>`,
  },
  {
    title: 'Robust',
    sort: 'descending',
    value: ({ robust }) => robust.accuracy,
    class: 'accuracy',
    cell: (entry, { root }) => accuracyCell(entry.robust, entry, root),
  },
  {
    title: 'Clean',
    sort: 'descending',
    value: ({ clean }) => clean.accuracy,
    class: 'accuracy',
    cell: (entry, { root }) => accuracyCell(entry.clean, entry, root),
  },
  { title: '', class: 'interval-cell', cell: intervals },
  {
    title: 'Parameters',
    sort: 'ascending',
    value: ({ model }) => model.parameters ?? '',
    class: 'number',
    cell: ({ model }) => html`${model.parameters === undefined ? '–' : short(model.parameters)}`,
  },
  {
    title: 'Gradients per image',
    label: 'Gradients',
    sort: 'descending',
    value: ({ budget, images }) => budget.backwards / images.count,
    class: 'number',
    cell: ({ budget, images }) => html`${short(budget.backwards / images.count)}`,
  },
  {
    title: 'Images',
    sort: 'descending',
    value: ({ images }) => images.count,
    class: 'number',
    cell: ({ images }) => html`${images.count}`,
  },
  {
    title: 'Flags',
    sort: 'ascending',
    value: ({ flags }) => flags.length,
    class: 'flags',
    cell: (entry, { folder }) =>
      entry.flags.length === 0
        ? html`<span class="soft">none</span>`
        : html`<a class="flag" href="${folder}${modelPage(entry)}#flags">⚑ ${entry.flags.length}<span class="unseen"> ${entry.flags.length === 1 ? 'flag' : 'flags'}</span></a>`,
  },
]

/** The board itself: plain HTML that needs no script. Roles are spelt out because a phone's layout drops them. */
export function boardTable(entries: readonly Entry[], options: TableOptions): Html {
  return html`<table class="board" role="table"${options.sortable && html` data-sortable`}>
<caption>${options.caption}</caption>
<thead role="rowgroup"><tr role="row">${COLUMNS.map((column) => header(column, options))}</tr></thead>
<tbody role="rowgroup">
${entries.map((entry) => row(entry, options))}</tbody>
</table>`
}

function header({ title, sort, class: kind }: Column, { sortable }: TableOptions): Html {
  const sorts = sortable && sort ? html` data-sort="${sort}"` : null
  const sorted = sortable && title === 'Robust' ? html` aria-sort="descending"` : null
  const text = title === '' ? AXIS : html`${key(title)}${title}`
  return html`<th role="columnheader" scope="col" class="${kind}"${sorts}${sorted}>${text}</th>`
}

const key = (title: string): Html | null =>
  title === 'Robust' || title === 'Clean'
    ? html`<span class="key ${title.toLowerCase()}" aria-hidden="true"></span>`
    : null

function row(entry: Entry, { sortable, ...options }: TableOptions): Html {
  const cells = COLUMNS.map((column) => cell(column, entry, { sortable, ...options }))
  return html`<tr role="row"${sortable && facets(entry)}>${cells}</tr>
`
}

/** What a row is filtered by, beside what it shows. */
function facets({ model, flags }: Entry): Html {
  const { sha256, recipe, authors, normalisation, architecture } = model
  const words = [sha256.slice(0, 16), recipe, ...authors].filter(Boolean).join(' ').toLowerCase()
  const facet = (name: string, value: string | undefined) =>
    value === undefined ? null : html` data-${raw(name)}="${value}"`
  return html` data-words="${words}" data-flags="${flags.length}"${facet('normalisation', normalisation)}${facet('architecture', architecture)}`
}

function cell(column: Column, entry: Entry, options: TableOptions): Html {
  const value = options.sortable && column.value ? html` data-value="${column.value(entry)}"` : null
  const label =
    column.title && column.class !== 'name' ? html` data-label="${column.label ?? column.title}"` : null
  const content = column.cell(entry, options)
  return column.class === 'name'
    ? html`<th role="rowheader" scope="row" class="name"${value}>${content}</th>`
    : html`<td role="cell" class="${column.class}"${label}${value}>${content}</td>`
}

/** The row in words, for the page's description and for `alt` texts. */
export const inWords = ({ entries }: Track): string =>
  entries
    .slice(0, 3)
    .map(({ model, robust }) => `${model.name} ${percent(robust.accuracy)}`)
    .join(', ')

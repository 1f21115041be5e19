/** Markup that is safe to insert as it stands. Only `html` and `raw` make it. */
export class Html {
  readonly markup: string
  constructor(markup: string) {
    this.markup = markup
  }
  toString(): string {
    return this.markup
  }
}

export type Content = Html | string | number | false | null | undefined | readonly Content[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => ENTITIES[sign]!)

/**
 * A template whose values are escaped, in text and in quoted attributes alike: names and descriptions come
 * from whoever submitted a model. Lists are joined; false, null and undefined leave nothing.
 *
 * @example html`<td title="${name}">${cells.map((cell) => html`<b>${cell}</b>`)}</td>`
 */
export function html(parts: TemplateStringsArray, ...values: Content[]): Html {
  let markup = parts[0]!
  for (const [i, value] of values.entries()) markup += rendered(value) + parts[i + 1]!
  return new Html(markup)
}

/** For markup made elsewhere: stylesheets, scripts, charts. Never for anything that a submission contains. */
export const raw = (markup: string): Html => new Html(markup)

function rendered(value: Content): string {
  if (value instanceof Html) return value.markup
  if (value === null || value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeHtml(value)
  if (typeof value === 'number') return String(value)
  return value.map(rendered).join('')
}

/** A link where the address is one that a browser may follow safely, else the address as text. */
export const link = (address: string, text: Content = address): Html =>
  /^https?:\/\//.test(address) ? html`<a href="${address}">${text}</a>` : html`${text}`

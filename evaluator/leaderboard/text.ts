import type { BuiltBoard } from './build.ts'
import type { Change, Comparison, Figures } from './compare.ts'
import { percent, points } from './format.ts'
import { intervalText, rankText, trackTitle } from './page/words.ts'

/** The board for a terminal: every track as a table, and where its page lies. */
export function boardText({ version, fresh, index, tracks }: BuiltBoard): string {
  const parts = tracks.map(({ document, page }) => {
    const rows = document.entries.map(({ rank, model, clean, robust, flags }) => [
      rankText(rank),
      model.name,
      percent(clean.accuracy),
      percent(robust.accuracy),
      intervalText(robust.interval),
      flags.map(({ name }) => name).join(', '),
    ])
    return `${trackTitle(document)}\n${aligned([['rank', 'model', 'clean', 'robust', '95 %', 'flags'], ...rows])}\n${page}`
  })
  const news = fresh ? `version ${version}` : `version ${version}, unchanged`
  return `${parts.join('\n\n')}\n\nThe board, ${news}: ${index}`
}

/** Columns padded to their widest cell. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What moved, as Markdown: it reads well in a terminal and is the text of a pull request. */
export function comparisonText({ tracks, changes }: Comparison): string {
  const moved = changes.filter(({ kind }) => kind !== 'unchanged')
  const quiet = changes.length - moved.length
  const rows = moved.map((change) => [
    change.track,
    change.model,
    change.kind === 'moved' ? (change.dropped ? 'dropped' : 'moved') : change.kind,
    `${figure(change.before, 'clean')} → ${figure(change.after, 'clean')}`,
    `${figure(change.before, 'robust')} → ${figure(change.after, 'robust')}`,
    pairedText(change),
    change.causes.join(', '),
  ])
  const header = ['Track', 'Model', 'What', 'Clean', 'Robust', 'Robust, same images', 'What else differs']
  const list = (title: string, ids: readonly string[]) =>
    ids.length === 0 ? [] : [`${title}: ${ids.join(', ')}`]
  return [
    ...list('New tracks', tracks.added),
    ...list('Tracks that are gone', tracks.removed),
    ...(rows.length > 0 ? [markdown([header, ...rows])] : []),
    quiet === 1 ? '1 model unchanged.' : `${quiet} models unchanged.`,
  ].join('\n\n')
}

const figure = (figures: Figures | undefined, kind: 'clean' | 'robust'): string =>
  figures ? percent(figures[kind].accuracy) : '–'

function pairedText({ paired }: Change): string {
  if (!paired) return '–'
  const [low, high] = paired.interval
  const p = paired.p < 0.001 ? 'p < 0.001' : `p = ${paired.p.toFixed(3)}`
  return `${points(paired.difference)} (${points(low)} to ${points(high)}), ${p}`
}

function markdown(rows: readonly (readonly string[])[]): string {
  const [header, ...body] = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = header!.map((_, i) => Math.max(3, ...[header!, ...body].map((row) => row[i]!.length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  return [line(header!), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n')
}

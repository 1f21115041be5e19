import type { BuiltBoard } from './build.ts'
import { percent } from './format.ts'
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

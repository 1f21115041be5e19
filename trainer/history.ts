/** Figures of one moment of a run: `step`, `loss`, `cleanAccuracy` and so on. */
export type HistoryRow = Readonly<Record<string, number>>

/** Beyond this many rows every other one goes, so that a run of a million steps keeps a curve, not a log. */
const MOST_ROWS = 1000

/** Figures that come once in a while and hold until the next. */
const LASTING = ['cleanAccuracy', 'robustAccuracy']

/** What was measured during a run, evenly thinned; rows with a validation stay. */
export class History {
  #rows: HistoryRow[] = []
  #every = 1
  #latest: HistoryRow = {}

  get rows(): readonly HistoryRow[] {
    return this.#rows
  }

  add(row: HistoryRow): void {
    const lasting = Object.entries(this.#latest).filter(([name]) => LASTING.includes(name))
    this.#latest = { ...Object.fromEntries(lasting), ...row }
    if (row.step! % this.#every !== 0 && !validated(row)) return
    this.#rows.push(row)
    if (this.#rows.length <= MOST_ROWS) return
    this.#every *= 2
    this.#rows = this.#rows.filter((kept) => kept.step! % this.#every === 0 || validated(kept))
  }

  /** The last row added, with the last validation. */
  latest(): HistoryRow {
    return this.#latest
  }

  restore(rows: readonly HistoryRow[]): void {
    this.#rows = []
    this.#every = 1
    for (const row of rows) this.add(row)
  }
}

const validated = (row: HistoryRow): boolean => LASTING.some((name) => name in row)

import { ZooError } from '../../manifests/error.ts'

/** Collects what a model holds that cannot be converted, so that one error names all of it. */
export class Problems {
  readonly #where = new Map<string, string[]>()

  /** Notes a reason, such as `layer class LSTM`, and where it was met. */
  add(reason: string, where: string): void {
    const places = this.#where.get(reason)
    if (places) places.push(where)
    else this.#where.set(reason, [where])
  }

  /** What `work` returns; undefined, and a note, where it throws `unsupported-model`. */
  attempt<T>(where: string, work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof ZooError) || error.code !== 'unsupported-model') throw error
      this.add(error.message, where)
      return undefined
    }
  }

  /** @throws ZooError `unsupported-model`, if anything was noted */
  throwIfAny(): void {
    if (this.#where.size === 0) return
    const lines = [...this.#where].map(([reason, places]) => {
      const shown = places.slice(0, 3).join(', ')
      const more = places.length > 3 ? ` and ${places.length - 3} more` : ''
      return `${reason} (${shown}${more})`
    })
    throw new ZooError('unsupported-model', `the model cannot be converted: ${lines.join('; ')}`, {
      hint: lines.some((line) => line.includes('batch size'))
        ? 'where the batch size matters, --batch N fixes it'
        : '--output NAME keeps only what that output needs',
    })
  }
}

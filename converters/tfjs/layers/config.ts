import { ZooError } from '../../../manifests/error.ts'
import { unsupported } from '../lowering/lowering.ts'
import type { Format } from '../lowering/window.ts'

/** A layer's configuration, read by type. Keys are Keras's own, `snake_case`. */
export class Config {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #label: string

  constructor(values: Readonly<Record<string, unknown>>, label: string) {
    this.#values = values
    this.#label = label
  }

  /** The value as the file has it; undefined for null too. */
  get(key: string): unknown {
    return this.#values[key] ?? undefined
  }

  number(key: string, fallback?: number): number {
    return this.#typed(key, 'number', fallback)
  }

  string(key: string, fallback?: string): string {
    return this.#typed(key, 'string', fallback)
  }

  boolean(key: string, fallback: boolean): boolean {
    return this.#typed(key, 'boolean', fallback)
  }

  /** A list of numbers, or a single one that stands for `count` equal ones. */
  numbers(key: string, count: number, fallback?: readonly number[]): readonly number[] {
    const value = this.get(key) ?? fallback
    const list = typeof value === 'number' ? new Array<number>(count).fill(value) : value
    if (!isNumbers(list) || list.length !== count) throw this.#wrong(key, `${count} numbers`)
    return list
  }

  /** Before and after, for height and width: one number, one for each axis, or all four. */
  pairs(key: string, fallback: number): [[number, number], [number, number]] {
    const value = this.get(key) ?? fallback
    const axes = typeof value === 'number' ? [value, value] : value
    const pair = (axis: unknown): [number, number] => {
      if (typeof axis === 'number') return [axis, axis]
      if (isNumbers(axis) && axis.length === 2) return [axis[0]!, axis[1]!]
      throw this.#wrong(key, 'one number or two for each of two axes')
    }
    if (!Array.isArray(axes) || axes.length !== 2) throw this.#wrong(key, 'numbers for two axes')
    return [pair(axes[0]), pair(axes[1])]
  }

  get format(): Format {
    const value = this.string('data_format', 'channels_last')
    if (value === 'channels_last') return 'channels-last'
    if (value === 'channels_first') return 'channels-first'
    throw this.#wrong('data_format', 'channels_last or channels_first')
  }

  get padding(): 'same' | 'valid' {
    const value = this.string('padding', 'valid')
    if (value !== 'same' && value !== 'valid') throw unsupported(`padding ${value}`)
    return value
  }

  /** Refuses a setting that tfjs itself doesn't heed: it computes something else than the model's author meant. */
  refuse(key: string, harmless: readonly unknown[]): void {
    const value = this.get(key)
    if (value !== undefined && !harmless.includes(value))
      throw unsupported(`${key} = ${JSON.stringify(value)}, which tfjs does not heed`)
  }

  #typed<T>(key: string, type: string, fallback: T | undefined): T {
    const value = this.get(key) ?? fallback
    if (typeof value !== type) throw this.#wrong(key, `a ${type}`)
    return value as T
  }

  #wrong(key: string, expected: string): ZooError {
    return new ZooError(
      'invalid-model',
      `${this.#label}: ${key} should be ${expected}, not ${JSON.stringify(this.get(key))}`,
    )
  }
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number')

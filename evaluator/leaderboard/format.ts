/** How figures are written, on the page, in comparisons and in names of files. */

/** 0.8325 as `83.3 %`. */
export const percent = (fraction: number, digits = 1): string => `${(fraction * 100).toFixed(digits)} %`

/** The difference of two accuracies in percentage points, signed: `+1.2`, `−0.3`, `0.0`. */
export function points(difference: number, digits = 1): string {
  const text = Math.abs(difference * 100).toFixed(digits)
  if (Number(text) === 0) return text
  return `${difference > 0 ? '+' : '−'}${text}`
}

/** 0.0313725 as `8/255`, 0.3 as `0.3`: a short decimal where there is one, else the field's way. */
export function epsText(eps: number): string {
  if (Number(eps.toPrecision(3)) === eps) return String(eps)
  const levels = Number((eps * 255).toFixed(3))
  if (Math.abs(levels / 255 - eps) < 1e-6 && Number(levels.toFixed(1)) === levels) return `${levels}/255`
  return String(Number(eps.toPrecision(4)))
}

export const NORMS: Readonly<Record<string, string>> = { linf: 'L∞', l2: 'L2', l1: 'L1' }

/** A name that serves as a file's name on every system. */
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '') || 'unnamed'

const UNITS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** 272474 as `272 k`, three figures. */
export function short(count: number): string {
  for (const [size, letter] of UNITS)
    if (count >= size) return `${Number((count / size).toPrecision(3))} ${letter}`
  return String(Number(count.toPrecision(3)))
}

/** Seconds as `48 s`, `3.2 min` or `1.5 h`. */
export function duration(seconds: number): string {
  if (seconds < 100) return `${Number(seconds.toPrecision(2))} s`
  if (seconds < 6000) return `${(seconds / 60).toFixed(1)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

/** The day of a date in UTC, `2026-01-31`. */
export const day = (date: string): string => date.slice(0, 10)

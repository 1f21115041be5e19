import * as Plot from '@observablehq/plot'
import { percent } from '../../format.ts'
import { type Html, html } from '../html.ts'
import { type Chart, draw } from './chart.ts'

export interface Series {
  readonly name: string
  /** x in the axis's unit; accuracy as a fraction; the interval where one is known. */
  readonly points: readonly {
    readonly x: number
    readonly accuracy: number
    readonly interval?: readonly [number, number] | undefined
  }[]
}

export interface LineOptions {
  readonly title: string
  readonly text: string
  /** The axis, and the table's heading. */
  readonly x: string
  readonly xText: (x: number) => string
  readonly scale: 'linear' | 'log' | 'sqrt'
  /** Where only certain values make sense as ticks. */
  readonly ticks?: readonly number[]
  /** False where the points are models of their own, not one model in several states. */
  readonly joined?: boolean
}

/** More lines than this nobody can tell apart; and a page has a size to keep. */
const DRAWN = 8
/** As many points of a line as a chart of this width can show. */
const POINTS = 25
const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'star', 'cross', 'wye', 'times'] as const
const DASHES = ['', '7 3', '2 3', '9 3 2 3'] as const

const styleOf = (i: number) => ({
  colour: `var(--s${i + 1})`,
  dash: DASHES[i % DASHES.length]!,
  symbol: SYMBOLS[i]!,
})

/** Evenly chosen points of a long line, its ends among them. */
const thinned = <T>(points: readonly T[]): T[] =>
  points.filter((_, i) => {
    const place = (n: number) => Math.floor((n * (POINTS - 1)) / Math.max(points.length - 1, 1))
    return points.length <= POINTS || i === 0 || i === points.length - 1 || place(i) !== place(i - 1)
  })

/** Accuracy against something, a line per model, told apart by colour, dash and symbol alike. */
export function lineChart(all: readonly Series[], options: LineOptions): Chart {
  const series = all
    .slice(0, DRAWN)
    .map(({ name, points }) => ({ name, points: options.joined === false ? points : thinned(points) }))
  const rest = all.length - series.length
  const text =
    rest > 0 ? `${options.text} The first ${DRAWN} lines; the other ${rest} are in track.json.` : options.text
  const drawn = series
    .map(({ points }, i) => ({
      ...styleOf(i),
      points: points.map(({ x, accuracy, interval }) => ({
        x,
        y: accuracy * 100,
        low: interval && interval[0] * 100,
        high: interval && interval[1] * 100,
      })),
    }))
    .reverse()
  const { scale, ticks, joined = true } = options
  return {
    title: options.title,
    text,
    legend: html`<ul class="legend">${series.map(({ name }, i) => html`<li>${sample(i)}${name}</li>`)}</ul>`,
    svg: draw(`${options.title}. ${text}`, {
      x: {
        type: scale,
        label: options.x,
        grid: false,
        ...(ticks && { ticks: [...ticks] }),
        tickFormat: options.xText,
      },
      y: { domain: [0, 100], label: 'Accuracy (%)', grid: true, ticks: 5 },
      marks: drawn.flatMap(({ points, colour, dash, symbol }) => [
        Plot.ruleX(
          points.filter(({ low }) => low !== undefined),
          { x: 'x', y1: 'low', y2: 'high', stroke: colour, strokeOpacity: 0.45, strokeWidth: 2 },
        ),
        Plot.line(joined ? points : [], {
          x: 'x',
          y: 'y',
          stroke: colour,
          strokeWidth: 2,
          strokeDasharray: dash,
        }),
        Plot.dot(points, { x: 'x', y: 'y', fill: colour, symbol, r: 4 }),
      ]),
    }),
    columns: ['Model', options.x, 'Accuracy'],
    rows: series.flatMap(({ name, points }) =>
      points.map(({ x, accuracy }) => [name, options.xText(x), percent(accuracy)]),
    ),
  }
}

const MARKS: Readonly<Record<(typeof SYMBOLS)[number], string>> = {
  circle: 'M16 8m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0',
  square: 'M11.5 3.5h9v9h-9z',
  triangle: 'M16 2l6 10.5h-12z',
  diamond: 'M16 1l4.5 7-4.5 7-4.5-7z',
  star: 'M16 1.5l1.6 4.6h4.9l-4 2.9 1.5 4.7-4-2.9-4 2.9 1.5-4.7-4-2.9h4.9z',
  cross: 'M14 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z',
  wye: 'M16 8m-2-1l-4-3 2-3 4 3 4-3 2 3-4 3v5h-4z',
  times: 'M11 5l2-2 3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z',
}

function sample(i: number): Html {
  const { colour, dash, symbol } = styleOf(i)
  return html`<svg viewBox="0 0 32 16" aria-hidden="true"><path d="M0 8h32" stroke="${colour}" stroke-width="3" stroke-dasharray="${dash}"/><path d="${MARKS[symbol]}" fill="${colour}"/></svg>`
}

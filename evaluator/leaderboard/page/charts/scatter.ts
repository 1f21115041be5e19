import * as Plot from '@observablehq/plot'
import type { Entry } from '../../../../manifests/schema/leaderboard.ts'
import { percent, short } from '../../format.ts'
import { middleSeeds } from '../../seeds.ts'
import { intervalText } from '../words.ts'
import { type Chart, draw, percentDomain } from './chart.ts'

/** Clean against robust accuracy, both with intervals; the dot's area grows with the number of parameters. */
export function scatterChart(entries: readonly Entry[]): Chart | undefined {
  if (entries.length < 2) return undefined
  const sized = entries.some(({ model }) => model.parameters !== undefined)
  const largest = Math.max(1, ...entries.map(({ model }) => model.parameters ?? 0))
  const middles = new Set(middleSeeds(entries))
  const points = entries.map((entry) => {
    const { model, clean, robust } = entry
    return {
      name: model.name,
      named: middles.has(entry),
      x: clean.accuracy * 100,
      y: robust.accuracy * 100,
      left: clean.interval[0] * 100,
      right: clean.interval[1] * 100,
      low: robust.interval[0] * 100,
      high: robust.interval[1] * 100,
      radius: model.parameters === undefined ? 5 : 4 + 10 * Math.sqrt(model.parameters / largest),
    }
  })
  const text = `Up and to the right is better. Bars are 95 % intervals${sized ? '; the area of a dot grows with the number of parameters' : ''}.`
  const xs = percentDomain(points.flatMap(({ left, right }) => [left, right]))
  const ys = percentDomain(points.flatMap(({ low, high }) => [low, high]))
  const spread = { stroke: 'var(--robust)', strokeOpacity: 0.35, strokeWidth: 2 }
  return {
    title: 'Clean against robust accuracy',
    text,
    svg: draw(`Clean against robust accuracy of ${entries.length} models. ${text}`, {
      x: { domain: xs, label: 'Clean accuracy (%)', grid: true, ticks: 6 },
      y: { domain: ys, label: 'Robust accuracy (%)', grid: true, ticks: 6 },
      r: { type: 'identity' },
      marks: [
        Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', ...spread }),
        Plot.ruleY(points, { y: 'y', x1: 'left', x2: 'right', ...spread }),
        Plot.dot(points, {
          x: 'x',
          y: 'y',
          r: 'radius',
          fill: 'var(--robust)',
          fillOpacity: 0.8,
          stroke: 'var(--paper)',
          title: 'name',
        }),
        ...placed(points, xs, ys).map(({ point, dx, dy, anchor }) =>
          Plot.text([point], {
            x: 'x',
            y: 'y',
            text: 'name',
            dx,
            dy,
            textAnchor: anchor,
            fontSize: 12.5,
            fill: 'var(--ink)',
            stroke: 'var(--paper)',
            strokeWidth: 4,
          }),
        ),
      ],
    }),
    columns: ['Model', 'Clean', 'Interval', 'Robust', 'Interval', 'Parameters'],
    rows: entries.map(({ model, clean, robust }) => [
      model.name,
      percent(clean.accuracy),
      intervalText(clean.interval),
      percent(robust.accuracy),
      intervalText(robust.interval),
      model.parameters === undefined ? '–' : short(model.parameters),
    ]),
  }
}

interface Point {
  readonly name: string
  /** One of several seeds of a recipe speaks for all. */
  readonly named: boolean
  readonly x: number
  readonly y: number
  readonly radius: number
}

/** The drawing area, and how large a name is: enough to tell which names would cover something. */
const AREA = { width: 400, height: 254, letter: 6.9, line: 15 }

/** Names that fit beside their dots, best models first; a name that would cover something, or leave the area, is left to the table. */
function placed(
  points: readonly Point[],
  xs: readonly [number, number],
  ys: readonly [number, number],
): { point: Point; dx: number; dy: number; anchor: 'start' | 'end' | 'middle' }[] {
  const spots = points.map((point) => ({
    point,
    x: ((point.x - xs[0]) / (xs[1] - xs[0])) * AREA.width,
    y: ((ys[1] - point.y) / (ys[1] - ys[0])) * AREA.height,
  }))
  const taken: Box[] = spots.map(({ point: { radius }, x, y }) => boxAround(x, y, 2 * radius, 2 * radius))
  return spots.flatMap(({ point, x, y }) => {
    if (!point.named) return []
    const width = point.name.length * AREA.letter
    const beside = point.radius + 4
    for (const [dx, dy, anchor] of [
      [beside, -8, 'start'],
      [-beside, -8, 'end'],
      [beside, 8, 'start'],
      [-beside, 8, 'end'],
      [0, -beside - 8, 'middle'],
      [0, beside + 8, 'middle'],
    ] as const) {
      const shift = { start: width / 2, end: -width / 2, middle: 0 }[anchor]
      const box = boxAround(x + dx + shift, y + dy, width, AREA.line)
      if (!inside(box) || taken.some((other) => overlap(box, other))) continue
      taken.push(box)
      return [{ point, dx, dy, anchor }]
    }
    return []
  })
}

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

const boxAround = (x: number, y: number, width: number, height: number): Box => ({
  left: x - width / 2,
  right: x + width / 2,
  top: y - height / 2,
  bottom: y + height / 2,
})

const inside = ({ left, right, top, bottom }: Box): boolean =>
  left >= 0 && right <= AREA.width && top >= 0 && bottom <= AREA.height

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom

import { styleText } from 'node:util'
import type { Progress, ProgressEvent } from '../manifests/progress.ts'

interface Stream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** At most this often on a terminal, and in a log: progress is read by people and kept by machines. */
const TERMINAL_INTERVAL = 100
const LOG_INTERVAL = 5000

/**
 * Draws progress on a terminal as one line that says what is happening, how far it is and how long is left;
 * elsewhere writes JSON lines. `ZOO_NO_PROGRESS=1` silences both.
 */
export function progressOn(stream: Stream, now: () => number = Date.now): Progress {
  if (process.env.ZOO_NO_PROGRESS) return () => {}
  const started = new Map<string, { at: number; done: number }>()
  let last = { at: 0, stage: '' }
  return (event) => {
    const first = started.get(event.stage) ?? { at: now(), done: event.done }
    started.set(event.stage, first)
    const finished = event.total !== undefined && event.done >= event.total
    const changed = event.stage !== last.stage
    const interval = stream.isTTY ? TERMINAL_INTERVAL : event.milestone ? 0 : LOG_INTERVAL
    if (!finished && !changed && now() - last.at < interval) return
    last = { at: now(), stage: event.stage }
    const left = secondsLeft(event, first, now())
    if (!stream.isTTY) {
      const line = {
        stage: event.stage,
        done: event.done,
        total: event.total,
        unit: event.unit,
        secondsLeft: left,
      }
      stream.write(`${JSON.stringify({ ...line, ...event.figures })}\n`)
      return
    }
    const text = drawn(event, left).slice(0, (stream.columns ?? 100) - 1)
    stream.write(`\r\u001b[2K${text}${finished ? '\n' : ''}`)
    if (finished) started.delete(event.stage)
  }
}

function secondsLeft(
  event: ProgressEvent,
  first: { at: number; done: number },
  now: number,
): number | undefined {
  const done = event.done - first.done
  if (event.total === undefined || done <= 0) return undefined
  return Math.round(((now - first.at) / 1000 / done) * (event.total - event.done))
}

const BAR = 20

function drawn(event: ProgressEvent, left: number | undefined): string {
  const parts = [event.stage.padEnd(34)]
  if (event.total !== undefined && event.total > 0) {
    const filled = Math.round((event.done / event.total) * BAR)
    const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled)
    parts.push(process.env.NO_COLOR ? bar : styleText('cyan', bar))
    parts.push(
      event.unit === 'bytes'
        ? `${mb(event.done)}/${mb(event.total)} MB`
        : `${event.done}/${event.total} ${event.unit ?? ''}`,
    )
  } else parts.push(event.unit === 'bytes' ? `${mb(event.done)} MB` : `${event.done} ${event.unit ?? ''}`)
  if (left !== undefined && left > 0) parts.push(`${clock(left)} left`)
  for (const [name, value] of Object.entries(event.figures ?? {}))
    parts.push(`${name} ${typeof value === 'number' ? Number(value.toPrecision(3)) : value}`)
  return parts.join('  ')
}

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)
const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`

import { type ChildProcess, fork } from 'node:child_process'
import pLimit from 'p-limit'
import { ZooError } from '../../manifests/error.ts'
import { moduleBeside, moduleFlags } from '../../manifests/package.ts'
import type { Plan } from './plan.ts'
import type { Unit, UnitResult } from './unit.ts'
import { type Answer, asError, type Request } from './wire.ts'

/** One worker process with a plan; it does one thing at a time. */
class Worker {
  readonly #child: ChildProcess
  #waiting: { resolve: (answer: Answer) => void; reject: (error: ZooError) => void } | undefined
  #dead: ZooError | undefined

  constructor(name: string) {
    const module = moduleBeside(import.meta.url, './worker')
    const child = fork(module, {
      execArgv: moduleFlags(module),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child = child
    let complaints = ''
    child.stderr?.on('data', (text) => {
      complaints = (complaints + text).slice(-2000)
    })
    child.on('message', (answer: Answer) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      waiting?.resolve(answer)
    })
    child.on('exit', (code, signal) => {
      const said = complaints.trim().split('\n').at(-1)
      this.#dead = new ZooError(
        'session-crashed',
        `the process that ran ${name} ended with ${signal ?? `exit code ${code}`}${said ? `: ${said}` : ''}`,
        { hint: 'finished work is kept: run the same command again to go on' },
      )
      this.#waiting?.reject(this.#dead)
    })
  }

  ask(request: Request): Promise<UnitResult | number | null> {
    return new Promise((resolve, reject) => {
      if (this.#dead) return reject(this.#dead)
      this.#waiting = {
        resolve: (answer) => (answer.ok ? resolve(answer.value) : reject(asError(answer))),
        reject,
      }
      this.#child.send(request)
    })
  }

  get alive(): boolean {
    return this.#dead === undefined
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }
}

/** Worker processes of one plan, each with its own sessions. */
export interface Pool {
  /** Does a unit as soon as a worker is free. A crash is tried once more, in a new process. */
  run(unit: Unit): Promise<UnitResult>
  /** Images per second that all workers together reach when they work at once. */
  speed(seconds: number): Promise<number>
  end(): void
}

export function openPool(plan: Plan, dir: string): Pool {
  const workers = new Set<Worker>()
  const idle: Worker[] = []
  const limit = pLimit(plan.jobs)
  let ended = false

  async function take(): Promise<Worker> {
    const free = idle.pop()
    if (free) return free
    const worker = new Worker(plan.protocol.model.name)
    workers.add(worker)
    await worker.ask({ ask: 'begin', plan, dir })
    return worker
  }

  async function attempt(unit: Unit): Promise<UnitResult> {
    const worker = await take()
    try {
      return (await worker.ask({ ask: 'unit', unit })) as UnitResult
    } finally {
      if (worker.alive) idle.push(worker)
      else workers.delete(worker)
    }
  }

  return {
    run: (unit) =>
      limit(async () => {
        try {
          return await attempt(unit)
        } catch (error) {
          if (ended || (error as ZooError).code !== 'session-crashed') throw error
          return await attempt(unit)
        }
      }),

    async speed(seconds) {
      const all = await Promise.all(Array.from({ length: plan.jobs }, take))
      const speeds = await Promise.all(all.map((worker) => worker.ask({ ask: 'speed', seconds })))
      idle.push(...all)
      return (speeds as number[]).reduce((sum, speed) => sum + speed, 0)
    },

    end() {
      ended = true
      limit.clearQueue()
      for (const worker of workers) worker.end()
    },
  }
}

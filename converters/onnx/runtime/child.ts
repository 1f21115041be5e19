import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZooError } from '../../../manifests/error.ts'
import { moduleBeside, moduleFlags } from '../../../manifests/package.ts'
import { writeModel } from '../file.ts'
import type { Tensor } from '../tensor.ts'
import { checkFeeds } from './feeds.ts'
import { type Answer, type Request, tensorsFromWire, tensorsToWire } from './protocol.ts'
import type { Feeds, ModelSource, Session, SessionOptions, SessionValue } from './session.ts'

/**
 * Opens a model in a child process: this process stays responsive while the model computes, and survives its crash.
 * The child ends with `release`, or with this process.
 *
 * @throws ZooError as `openSession` does, and `session-crashed` when the child dies, then and in every later call
 */
export async function openChildSession(source: ModelSource, options: SessionOptions = {}): Promise<Session> {
  if (typeof source === 'string') return start(source, options)
  const folder = await mkdtemp(join(tmpdir(), 'zoo-session-'))
  try {
    const path = join(folder, 'model.onnx')
    if (source instanceof Uint8Array) await writeFile(path, source)
    else await writeModel(source, path)
    return await start(path, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function start(path: string, options: SessionOptions): Promise<Session> {
  const child = new Child()
  try {
    const answer = await child.ask({ kind: 'open', path, options })
    if (answer.kind !== 'opened') throw new TypeError(`a child answered ${answer.kind} to open`)
    return new ChildSession(child, answer.inputs, answer.outputs)
  } catch (error) {
    await child.end()
    throw error
  }
}

class ChildSession implements Session {
  readonly inputs: readonly SessionValue[]
  readonly outputs: readonly SessionValue[]
  readonly #child: Child

  constructor(child: Child, inputs: readonly SessionValue[], outputs: readonly SessionValue[]) {
    this.#child = child
    this.inputs = inputs
    this.outputs = outputs
  }

  async run(feeds: Feeds): Promise<Record<string, Tensor>> {
    checkFeeds(this.inputs, feeds)
    const answer = await this.#child.ask({ kind: 'run', feeds: tensorsToWire(feeds) })
    if (answer.kind !== 'done') throw new TypeError(`a child answered ${answer.kind} to run`)
    return tensorsFromWire(answer.results)
  }

  release(): Promise<void> {
    return this.#child.end()
  }
}

type Asked = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never
type Answered = Exclude<Answer, { kind: 'failed' }>

interface Waiting {
  resolve(answer: Answered): void
  reject(error: ZooError): void
}

/** How much of the child's last words goes into the report of its crash. */
const LAST_WORDS = 500

/** A forked process that answers requests until it is told to end, or dies. */
class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #gone: Promise<void>
  #next = 0
  #stderr = ''
  #end: ZooError | undefined

  constructor() {
    const module = moduleBeside(import.meta.url, './serve')
    this.#process = fork(module, {
      execArgv: moduleFlags(module),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#process.stderr?.on('data', (text: Buffer) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-LAST_WORDS)
    })
    this.#process.on('message', (answer: Answer) => this.#answered(answer))
    this.#gone = new Promise((resolve) => {
      // Not 'exit': answers and last words may still be on their way then.
      this.#process.on('close', (code, signal) => {
        this.#ended(crash(signal ?? `exit code ${code}`, this.#stderr))
        resolve()
      })
      this.#process.on('error', (error) => {
        this.#ended(crash(error.message, ''))
        resolve()
      })
    })
  }

  ask(asked: Asked): Promise<Answered> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      // A child that dies while it is written to is reported by its 'close'.
      this.#process.send({ ...asked, id } satisfies Request, () => {})
    })
  }

  async end(): Promise<void> {
    this.#ended(new ZooError('internal', 'the session was released'))
    this.#process.kill('SIGKILL')
    await this.#gone
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (answer.kind !== 'failed') waiting?.resolve(answer)
    else waiting?.reject(new ZooError(answer.code, answer.message, answer.hint ? { hint: answer.hint } : {}))
  }

  #ended(error: ZooError): void {
    this.#end ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#end)
    this.#waiting.clear()
  }
}

const crash = (how: string, lastWords: string): ZooError =>
  new ZooError(
    'session-crashed',
    `the process that computes the model died (${how})${lastWords && `: ${lastWords.trim()}`}`,
    {
      hint: 'SIGKILL usually means that memory ran out: try a smaller batch or fewer jobs',
    },
  )

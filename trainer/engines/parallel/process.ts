import { type ChildProcess, fork } from 'node:child_process'
import { ZooError } from '../../../manifests/error.ts'
import { moduleBeside, moduleFlags } from '../../../manifests/package.ts'
import type { Message, Reply, WireTensors } from './messages.ts'

type Results = Readonly<Record<string, WireTensors>>

interface Waiting {
  resolve(results: Results): void
  reject(error: Error): void
}

/** One of the further processes, as the first sees it. */
export class FurtherProcess {
  readonly #child: ChildProcess
  /** Who waits, in order: replies come in the order of messages. */
  readonly #waiting: Waiting[] = []
  #death: ZooError | undefined

  /** @param environment what it has in its environment beside what this process has */
  constructor(environment: NodeJS.ProcessEnv = {}) {
    const module = moduleBeside(import.meta.url, './child')
    this.#child = fork(module, {
      execArgv: moduleFlags(module),
      env: { ...process.env, ...environment },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    this.#child.on('message', (reply: Reply) => {
      const waiting = this.#waiting.shift()!
      if (reply.kind === 'done') waiting.resolve(reply.results)
      else waiting.reject(new ZooError(reply.code, reply.message, reply.hint ? { hint: reply.hint } : {}))
    })
    this.#child.on('close', (code, signal) => {
      this.#death = new ZooError(
        'session-crashed',
        `a training process ended with ${signal ?? `code ${code}`}`,
      )
      for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#death)
    })
  }

  /**
   * Sends a message. The outer promise is kept when it is on its way entirely: whoever goes on to compute blocks this
   * process, and the rest of a long message would wait for that. The inner one brings the results.
   */
  async tell(message: Message): Promise<{ results: Promise<Results> }> {
    if (this.#death) throw this.#death
    const results = new Promise<Results>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    // Looked at later; a failure until then is no unhandled one.
    results.catch(() => {})
    await new Promise<void>((resolve, reject) => {
      this.#child.send(message, (error) => (error ? reject(this.#death ?? error) : resolve()))
    })
    return { results }
  }

  async ask(message: Message): Promise<Results> {
    return await (await this.tell(message)).results
  }

  end(): void {
    this.#child.removeAllListeners('close')
    this.#child.kill()
  }
}

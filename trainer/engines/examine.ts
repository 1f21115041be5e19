import { fork } from 'node:child_process'
import { moduleBeside, moduleFlags } from '../../manifests/package.ts'
import { BACKENDS, type Backend } from './open.ts'

export interface Examination {
  readonly backend: Exclude<Backend, 'auto'>
  readonly works: boolean
  /** How well it agrees with the reference, or why it doesn't work and what to do about it. */
  readonly detail: string
  readonly hint?: string
  readonly seconds: number
}

/** What the child reports. */
export type Finding = Pick<Examination, 'works' | 'detail' | 'hint'>

/**
 * Runs the self-test of each backend in a process of its own: native libraries may crash, and one process can load a
 * library for one purpose only.
 */
export async function examineBackends(): Promise<Examination[]> {
  const examinations: Examination[] = []
  for (const backend of BACKENDS)
    if (backend !== 'auto') {
      const began = performance.now()
      const finding = await examine(backend)
      examinations.push({ backend, ...finding, seconds: (performance.now() - began) / 1000 })
    }
  return examinations
}

function examine(backend: string): Promise<Finding> {
  return new Promise((resolve) => {
    const module = moduleBeside(import.meta.url, './examine-child')
    const child = fork(module, [backend], {
      execArgv: moduleFlags(module),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    let finding: Finding | undefined
    child.on('message', (message) => {
      finding = message as Finding
    })
    child.on('close', (code, signal) =>
      resolve(finding ?? { works: false, detail: `its process ended with ${signal ?? `code ${code}`}` }),
    )
  })
}

import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { openChildSession } from '../../../../converters/onnx/runtime/child.ts'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { sessionSuite, smallModel } from './session.suite.ts'

sessionSuite('openChildSession', openChildSession)

const x = Tensor.float32([1, 2], [1, 0])
const children = (): number[] =>
  execFileSync('ps', ['-o', 'pid=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    .split('\n')
    .map(Number)

it('reports the death of the child, then and later, and lives on', async () => {
  const before = new Set(children())
  const session = await openChildSession(smallModel())
  const child = children().find((pid) => !before.has(pid) && isNode(pid))!
  const running = session.run({ x })
  process.kill(child, 'SIGSEGV')
  await expect(Promise.all([running, session.run({ x })])).rejects.toMatchObject({ code: 'session-crashed' })
  await expect(session.run({ x })).rejects.toMatchObject({
    code: 'session-crashed',
    message: expect.stringContaining('SIGSEGV'),
  })
  await session.release()
})

it('leaves no process behind', async () => {
  const before = children().length
  const session = await openChildSession(smallModel())
  await session.run({ x })
  await session.release()
  expect(children().length).toBe(before)
  await expect(openChildSession(new Uint8Array([0]))).rejects.toMatchObject({ code: 'invalid-model' })
  expect(children().length).toBe(before)
})

function isNode(pid: number): boolean {
  return execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim() !== 'ps'
}

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mergeLedgers } from '../../evaluator/merge.ts'
import { replay } from '../../evaluator/replay.ts'
import { packageRoot } from '../../manifests/package.ts'
import { silent } from '../../manifests/progress.ts'
import { inputSchema } from '../../manifests/schema/input.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import { resultSchema } from '../../manifests/schema/result.ts'
import { writeNpz } from '../npz.ts'
import { batteryOf, run } from './known-answers/run.ts'
import { writeImages, writeNet } from './nets.ts'

const dir = mkdtempSync(join(tmpdir(), 'zoo-evaluate-'))
afterAll(() => rmSync(dir, { recursive: true }))

const battery = batteryOf(
  [
    { kind: 'apgd', name: 'apgd-ce', loss: 'ce', iterations: 10 },
    { kind: 'apgd', name: 'apgd-t', loss: 'targeted-dlr', iterations: 10, targets: 3 },
    { kind: 'fab', name: 'fab-t', iterations: 10, targets: 3 },
    { kind: 'square', name: 'square', queries: 30 },
  ],
  { checks: 16 },
)
const COUNT = 100
let model: string
let data: string
const asked = () => ({ model, data, battery, norm: 'linf' as const, eps: 0.05, limit: COUNT, jobs: 1 })
const at = (name: string) => join(dir, name)
const examplesIn = (folder: string) => readFileSync(join(folder, 'examples.json'), 'utf8')
const unitsIn = (folder: string) =>
  existsSync(join(folder, 'units'))
    ? readdirSync(join(folder, 'units')).filter((file) => file.endsWith('.json'))
    : []

/** What a unit found; its times are its own. */
function unit(folder: string, file: string): unknown {
  return JSON.parse(readFileSync(join(folder, 'units', file), 'utf8'), (key, value) =>
    key === 'seconds' ? undefined : value,
  )
}

/** A worker process of an evaluation that runs here, new since the last call, when so many units are finished. */
async function worker(folder: string, finished: number): Promise<number> {
  for (;;) {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .map(Number)
    const found = children.find((pid) => pid > 0 && !seen.has(pid) && isWorker(pid))
    if (found !== undefined && unitsIn(folder).length >= finished) {
      seen.add(found)
      return found
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
const seen = new Set<number>()
const isWorker = (pid: number) =>
  existsSync(`/proc/${pid}/cmdline`) &&
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('protocol/worker')

beforeAll(async () => {
  model = await writeNet(at('net.onnx'))
  data = writeImages(at('images.npz'), 120)
  await run({ ...asked(), jobs: 2, out: at('whole') })
})

describe('an evaluation', () => {
  it('answers what it promises, and every number follows from the outcomes', async () => {
    const result = resultSchema.parse(JSON.parse(readFileSync(join(at('whole'), 'result.json'), 'utf8')))
    const examples = JSON.parse(examplesIn(at('whole'))) as {
      clean: boolean
      robust: boolean
      brokenBy: string | null
      norm: number | null
    }[]
    expect(result.dataset).toMatchObject({ examples: COUNT, size: 120 })
    expect(result.clean.accuracy).toBe(0.9)
    expect(result.robust.accuracy).toBe(examples.filter(({ robust }) => robust).length / COUNT)
    expect(result.robust.accuracy).toBeLessThan(result.clean.accuracy)
    expect(result.attacks.map(({ name }) => name)).toEqual(['apgd-ce', 'apgd-t', 'fab-t', 'square'])
    expect(result.attacks.at(-1)!.robustAccuracy).toBe(result.robust.accuracy)
    for (const { clean, robust, brokenBy, norm } of examples) {
      if (robust) expect([clean, brokenBy, norm]).toEqual([true, null, null])
      else if (!clean) expect([brokenBy, norm]).toEqual(['clean', 0])
      else {
        expect(['apgd-ce', 'apgd-t', 'fab-t', 'square']).toContain(brokenBy)
        expect(norm).toBeGreaterThan(0)
        expect(norm).toBeLessThanOrEqual(0.05 + 2e-6)
      }
    }
    expect(result.curve.at(-1)!.accuracy).toBe(result.robust.accuracy)
    expect(readFileSync(join(at('whole'), 'report.html'), 'utf8')).toContain('net.onnx')
  })

  it('gives the same again, with other processes and another shard split', async () => {
    await run({ ...asked(), out: at('again') })
    expect(examplesIn(at('again'))).toBe(examplesIn(at('whole')))
    for (const index of [1, 2]) {
      const part = await run({ ...asked(), out: at(`part-${index}`), shard: { index, count: 2 } })
      expect(part).toBeNull()
    }
    await expect(mergeLedgers([at('part-1')], at('some'))).rejects.toMatchObject({
      code: 'conflict',
    })
    const { result } = await mergeLedgers(
      [1, 2].map((index) => at(`part-${index}`)),
      at('joined'),
    )
    expect(examplesIn(at('joined'))).toBe(examplesIn(at('whole')))
    expect(result.plan).toBe(JSON.parse(readFileSync(join(at('whole'), 'result.json'), 'utf8')).plan)
    expect(unitsIn(at('joined')).sort()).toEqual(unitsIn(at('whole')).sort())
    for (const file of unitsIn(at('whole'))) expect(unit(at('joined'), file)).toEqual(unit(at('whole'), file))
  })

  it('killed at any moment goes on and ends the same, to the bit', async () => {
    const out = at('killed')
    const args = ['eval', model, '--data', data, '--norm', 'linf', '--eps', '0.05', '--limit', String(COUNT)]
    const file = at('battery.json')
    writeFileSync(file, JSON.stringify(battery))
    let kills = 0
    for (const finished of [3, 9]) {
      const child = spawn(
        'node',
        [join(packageRoot, 'zoo/bin.mjs'), ...args, '--battery', file, '--jobs', '2', '--out', out],
        {
          stdio: 'ignore',
          detached: true,
        },
      )
      const ended = new Promise((resolve) => child.on('exit', resolve))
      while (child.exitCode === null && unitsIn(out).length < finished)
        await new Promise((resolve) => setTimeout(resolve, 5))
      if (child.exitCode === null) {
        process.kill(-child.pid!, 'SIGKILL')
        kills++
      }
      await ended
    }
    expect(kills).toBeGreaterThan(0)
    expect(existsSync(join(out, 'result.json'))).toBe(false)
    const before = unitsIn(out)
    await run({ ...asked(), out })
    expect(examplesIn(out)).toBe(examplesIn(at('whole')))
    expect(unitsIn(out).sort()).toEqual(unitsIn(at('whole')).sort())
    for (const name of before) expect(unit(out, name)).toEqual(unit(at('whole'), name))
  })

  it.runIf(process.platform === 'linux')(
    'survives the crash of a session, but not two in one unit',
    async () => {
      const out = at('crashed')
      const running = run({ ...asked(), out })
      process.kill(await worker(out, 2), 'SIGSEGV')
      await running
      expect(examplesIn(out)).toBe(examplesIn(at('whole')))

      const doomed = run({ ...asked(), out: at('doomed') })
      const failure = expect(doomed).rejects.toMatchObject({
        code: 'session-crashed',
        message: expect.stringContaining('net.onnx'),
      })
      for (let crash = 0; crash < 2; crash++) process.kill(await worker(at('doomed'), 0), 'SIGSEGV')
      await failure
    },
  )

  it('in the folder of another plan is refused, and says what differs', async () => {
    await expect(run({ ...asked(), seed: 1, out: at('whole') })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('seed'),
    })
    const other = await writeNet(at('other.onnx'), { key: 2 })
    await expect(run({ ...asked(), model: other, out: at('whole') })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('model.sha256'),
    })
  })

  it('replays: every stored image is what the ledger says, and a changed file is noticed', async () => {
    const report = await replay(at('again'), silent)
    const broken = JSON.parse(examplesIn(at('again'))).filter(
      ({ brokenBy }: { brokenBy: string | null }) => brokenBy !== null && brokenBy !== 'clean',
    )
    expect(report.images).toBe(broken.length)
    expect(report.disagreements).toEqual([])
    expect(report.rounded.broken + report.rounded.healed.length).toBe(report.images)
    const other = await replay(at('again'), silent, { model: await writeNet(at('third.onnx'), { key: 3 }) })
    expect(other.disagreements.length).toBeGreaterThan(0)
    const file = readdirSync(join(at('again'), 'units')).find((name) => name.endsWith('.adv'))!
    const stored = join(at('again'), 'units', file)
    const before = readFileSync(stored)
    writeFileSync(stored, 'no')
    await expect(replay(at('again'), silent)).rejects.toMatchObject({ code: 'integrity' })
    // A unit without its images is not finished: the same command does it again.
    rmSync(stored)
    await run({ ...asked(), out: at('again') })
    expect(readFileSync(stored).equals(before)).toBe(true)
  })
})

describe('bad input', () => {
  it('labels that are no classes', async () => {
    const far = writeNpz(at('far.npz'), { x: new Float32Array(72), shape: [2, 1, 6, 6], y: [0, 7] })
    await expect(run({ ...asked(), data: far })).rejects.toMatchObject({ code: 'invalid-data' })
  })

  it('images of another size', async () => {
    const large = writeNpz(at('large.npz'), { x: new Float32Array(128), shape: [2, 1, 8, 8], y: [0, 1] })
    await expect(run({ ...asked(), data: large })).rejects.toMatchObject({
      code: 'invalid-data',
      hint: expect.stringContaining('--size 6x6'),
    })
  })

  it('images outside [0,1], and none at all', async () => {
    const bright = writeNpz(at('bright.npz'), {
      x: new Float32Array(36).fill(1.5),
      shape: [1, 1, 6, 6],
      y: [0],
    })
    await expect(run({ ...asked(), data: bright })).rejects.toMatchObject({ code: 'invalid-data' })
    const empty = writeNpz(at('empty.npz'), { x: new Float32Array(0), shape: [0, 1, 6, 6], y: [] })
    await expect(run({ ...asked(), data: empty })).rejects.toMatchObject({ code: 'invalid-data' })
  })

  it('a radius beyond the whole range', async () => {
    await expect(run({ ...asked(), eps: 8 })).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('8/255'),
    })
    const far = writeImages(at('eps.npz'), 2, { eps: [0.1, 8] })
    const { eps: _, ...rest } = asked()
    await expect(run({ ...rest, data: far })).rejects.toMatchObject({ code: 'invalid-data' })
  })

  it('no radius', async () => {
    const { eps: _, ...rest } = asked()
    await expect(run(rest)).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('--eps') })
  })
})

describe('models of other kinds', () => {
  const few = { limit: 20, battery }

  it('without gradients are attacked without, and the result says so', async () => {
    const step = await writeNet(at('step.onnx'), { ending: 'step' })
    const { result } = await run({ ...asked(), ...few, model: step })
    expect(result.gradients).toBe(false)
    expect(result.attacks.map(({ name }) => name)).toEqual(['square'])
    expect(result.skipped.map(({ name }) => name)).toEqual(['apgd-ce', 'apgd-t', 'fab-t'])
    expect(result.flags.map(({ name }) => name)).toContain('no-gradients')
    const gradientsOnly = batteryOf([{ kind: 'pgd', name: 'pgd', iterations: 2, step: 1 }])
    await expect(run({ ...asked(), limit: 20, battery: gradientsOnly, model: step })).rejects.toMatchObject({
      code: 'unsupported-model',
    })
  })

  it('with random answers raise a flag', async () => {
    const noisy = await writeNet(at('noise.onnx'), { ending: 'noise' })
    const { result } = await run({ ...asked(), ...few, model: noisy })
    expect(result.flags.map(({ name }) => name)).toContain('random')
  })

  it('with probabilities raise a flag only where they stay in the attacked graph', async () => {
    const soft = await writeNet(at('softmax.onnx'), { ending: 'softmax' })
    const { result, examples } = await run({ ...asked(), model: soft })
    expect(result.flags.map(({ name }) => name)).not.toContain('probabilities')
    // The softmax is dropped: outcomes are those of the logits.
    expect(examples.map(({ robust }) => robust)).toEqual(
      JSON.parse(examplesIn(at('whole'))).map(({ robust }: { robust: boolean }) => robust),
    )
  })

  it('with probabilities that no final Softmax makes are attacked at their logarithm, and flagged', async () => {
    const shares = await writeNet(at('shares.onnx'), { ending: 'shares' })
    const { result, examples } = await run({ ...asked(), model: shares })
    expect(result.flags.map(({ name }) => name)).toContain('probabilities')
    const known = JSON.parse(examplesIn(at('whole'))) as { robust: boolean }[]
    const agreeing = examples.filter(({ robust }, i) => robust === known[i]!.robust)
    expect(agreeing.length).toBeGreaterThanOrEqual(0.98 * COUNT)
  })

  it('that take one batch size only are fed it', async () => {
    const fixed = await writeNet(at('fixed.onnx'), { batch: 7 })
    const { examples } = await run({ ...asked(), model: fixed })
    expect(examples.map(({ robust }) => robust)).toEqual(
      JSON.parse(examplesIn(at('whole'))).map(({ robust }: { robust: boolean }) => robust),
    )
  })

  describe('lend their gradients to attacks on others', () => {
    const transfer = batteryOf([
      { kind: 'pgd', name: 'transfer', iterations: 10, step: 0.2, source: 'lender' },
    ])
    const sha256 = 'a'.repeat(64)
    const lent = async (path: string, manifest?: object) =>
      run({
        ...asked(),
        battery: transfer,
        model: await writeNet(at('step2.onnx'), { ending: 'step' }),
        sources: { lender: { name: 'lender', path, sha256, manifest: manifest as ModelManifest } },
      })

    it('each with its own way of taking images', async () => {
      const { result, examples } = await lent(at('net.onnx'))
      expect(result.robust.accuracy).toBeLessThan(result.clean.accuracy)
      const bright = await writeNet(at('bright.onnx'), { white: 255 })
      const input = inputSchema.parse({ range: [0, 255] })
      const other = await lent(bright, { input })
      expect(other.examples.map(({ robust }) => robust)).toEqual(examples.map(({ robust }) => robust))
    })

    it('but not where they look at other images, or have none to lend', async () => {
      await expect(
        lent(at('net.onnx'), { input: inputSchema.parse({ labelOffset: 1 }) }),
      ).rejects.toMatchObject({
        code: 'unsupported-model',
        message: expect.stringContaining('lender'),
      })
      await expect(lent(await writeNet(at('step3.onnx'), { ending: 'step' }))).rejects.toMatchObject({
        code: 'unsupported-model',
      })
    })
  })
})

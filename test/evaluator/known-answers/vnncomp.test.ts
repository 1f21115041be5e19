import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readModel } from '../../../converters/onnx/file.ts'
import { openSession } from '../../../converters/onnx/runtime/open.ts'
import { Tensor } from '../../../converters/onnx/tensor.ts'
import { readBattery } from '../../../manifests/batteries/read.ts'
import { full, needsTestData, testData } from '../../data.ts'
import { batteryOf, run } from './run.ts'
import { byModel, counterexampleOf, type Instance, inputOf, instances, modelPath, npzOf } from './vnncomp.ts'

const dir = mkdtempSync(join(tmpdir(), 'zoo-vnncomp-'))
afterAll(() => rmSync(dir, { recursive: true }))

const all = instances()
/** Without the long tests, only the nets that take milliseconds. */
const QUICK = ['models/mnist-net_256x2.onnx', 'models/pgd_2_3_16.onnx']
const chosen = full ? all : all.filter(({ model }) => QUICK.includes(model))

/** Margin loss, 100 steps; the restarts are what is asked of plain PGD. */
const pgd = (restarts: number) =>
  batteryOf([
    { kind: 'pgd', name: 'pgd', loss: 'margin', iterations: 100, step: 0.25, start: 'varied', restarts },
  ])

/** Ids of the instances that a battery breaks. */
async function broken(some: readonly Instance[], battery: ReturnType<typeof pgd>): Promise<Set<string>> {
  const found = new Set<string>()
  for (const [model, group] of byModel(some)) {
    const data = npzOf(group, join(dir, `${model.replace(/\W/g, '-')}.npz`))
    const { examples } = await run({ model: modelPath({ model }), data, battery, input: inputOf(group[0]!) })
    for (const [i, { robust }] of examples.entries()) if (!robust) found.add(group[i]!.id)
  }
  return found
}

describe.skipIf(testData === undefined)(`instances of the VNN competitions${needsTestData}`, () => {
  const robust = chosen.filter(({ verdict }) => verdict === 'robust')
  const attackable = chosen.filter(({ verdict }) => verdict === 'attackable')

  it('published counterexamples mislead the nets', async () => {
    for (const instance of all.filter(({ verdict }) => verdict === 'attackable')) {
      const session = await openSession(await readModel(modelPath(instance)), { threads: 1 })
      const [input] = session.inputs
      const dims = input!.dims!.map((dim) => (typeof dim === 'number' ? dim : 1))
      const outputs = await session.run({ [input!.name]: Tensor.float32(dims, counterexampleOf(instance)) })
      await session.release()
      const logits = outputs[session.outputs[0]!.name]!.floats
      const own = logits[instance.label]!
      expect(logits.some((logit, k) => k !== instance.label && logit >= own - 1e-5)).toBe(true)
    }
  })

  it(`nothing that is proved robust is broken (${robust.length} instances)`, async () => {
    expect([...(await broken(robust, pgd(full ? 20 : 1)))]).toEqual([])
  }, 900_000)

  it(`nearly all that is attackable is broken by PGD with 20 restarts (${attackable.length} instances)`, async () => {
    const found = await broken(attackable, pgd(20))
    expect(found.size).toBeGreaterThanOrEqual(attackable.length - 1)
  })

  it.runIf(full)('the whole of AutoAttack breaks at least as much of what is attackable', async () => {
    const found = await broken(attackable, { ...readBattery('autoattack'), checks: 0 })
    expect(found.size).toBeGreaterThanOrEqual(attackable.length - 1)
  })
})

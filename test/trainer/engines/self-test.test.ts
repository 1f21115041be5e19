import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { selfTest } from '../../../trainer/engines/self-test.ts'
import { bindingPath } from '../../../trainer/engines/tfjs/native/libraries.ts'

it('finds that wasm and onnxruntime compute what the cpu backend does', async () => {
  for (const backend of ['wasm', 'ort'] as const) {
    const { tensors, largest } = await selfTest(backend)
    expect(tensors).toBe(26)
    expect(largest).toBeGreaterThan(0)
    expect(largest).toBeLessThan(1e-4)
  }
})

const native = existsSync(bindingPath())
it.skipIf(!native)(
  `finds the same of libtensorflow${native ? '' : ' (skipped: zoo setup tfjs has not run here)'}`,
  async () => {
    expect((await selfTest('node')).largest).toBeLessThan(1e-4)
  },
)

import { asZooError } from '../../manifests/error.ts'
import type { Finding } from './examine.ts'
import type { Backend } from './open.ts'
import { selfTest } from './self-test.ts'

/** The child process of `examineBackends`: tests the backend that it is told, reports, and ends. */
async function examine(backend: Exclude<Backend, 'auto'>): Promise<Finding> {
  try {
    const { tensors, largest } = await selfTest(backend)
    return { works: true, detail: `${tensors} tensors agree to ${largest.toExponential(1)}` }
  } catch (error) {
    const { message, hint } = asZooError(error)
    return { works: false, detail: message, ...(hint === undefined ? {} : { hint }) }
  }
}

const finding = await examine(process.argv[2] as Exclude<Backend, 'auto'>)
process.send!(finding, () => process.exit(0))

import { asZooError, ZooError } from '../../manifests/error.ts'
import type { Session } from '../onnx/runtime/session.ts'
import type { Conversion } from './convert.ts'
import { type CompareOptions, compare, type ParityReport } from './parity.ts'
import type { TfjsModel } from './read.ts'
import { openReference, type ReferenceBackend } from './reference.ts'

/**
 * Compares a converted model with the original in tfjs. The wasm backend, which is fast, is asked first; where it
 * lacks a kernel or disagrees, the plain JavaScript backend decides: some wasm kernels are wrong (a convolution with
 * a 2x2 kernel and stride 3 under SAME padding gives zeros, tfjs 4.22).
 *
 * @param session the converted model
 */
export async function checkParity(
  source: TfjsModel,
  conversion: Conversion,
  session: Session,
  options: CompareOptions,
): Promise<ParityReport> {
  const fast = await attempt('wasm')
  if (!(fast instanceof ZooError) && fast.passed) return fast
  const plain = await attempt('cpu')
  if (plain instanceof ZooError) throw plain
  return plain

  async function attempt(backend: ReferenceBackend): Promise<ParityReport | ZooError> {
    try {
      const reference = await openReference(source, conversion, backend)
      try {
        return await compare(reference, session, conversion, options)
      } finally {
        reference.release()
      }
    } catch (error) {
      return asZooError(error)
    }
  }
}

/** One line for each output: `dense_3: largest difference 3.1e-7, mean 2.0e-8, of 1.0; same top-1 8 of 8`. */
export function describeParity({ samples, outputs }: ParityReport): string[] {
  return outputs.map(({ name, largest, mean, magnitude, sameTop1 }) => {
    const top1 = sameTop1 === null ? '' : `; same top-1 ${Math.round(sameTop1 * samples)} of ${samples}`
    return `${name}: largest difference ${brief(largest)}, mean ${brief(mean)}, of ${brief(magnitude)}${top1}`
  })
}

const brief = (value: number): string => String(Number(value.toPrecision(2)))

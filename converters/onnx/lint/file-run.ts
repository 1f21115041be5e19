import { asZooError, type ZooError } from '../../../manifests/error.ts'
import type { ValueInfo } from '../graph.ts'
import { fromFloat16 } from '../half.ts'
import type { Session } from '../runtime/session.ts'
import type { Tensor } from '../tensor.ts'
import { inType, randomImages } from './noise.ts'

/** What the file itself, untouched, gives for some random images. */
export interface FileRun {
  readonly images: number
  readonly results: Readonly<Record<string, readonly number[]>>
}

/** Where a model leaves its batch open; some have a batch of one built into their reshapes all the same. */
const BATCHES = [2, 1]

/**
 * Runs the file on noise in the range that its input seems to want.
 *
 * @returns why it does not run, if it doesn't; undefined if its input leaves more open than the batch size
 */
export async function runFile(
  open: () => Promise<Session>,
  { name, dtype, dims }: ValueInfo,
  range: readonly [number, number],
): Promise<FileRun | ZooError | undefined> {
  const [first, ...shape] = dims!
  const fixed = shape.filter((dim) => typeof dim === 'number')
  if (fixed.length < shape.length) return undefined
  const batches = typeof first === 'number' ? [first] : BATCHES
  try {
    const session = await open()
    try {
      for (const [attempt, images] of batches.entries())
        try {
          const noise = inType(randomImages([images, ...fixed], range, 'full'), dtype)
          const results = Object.entries(await session.run({ [name]: noise }))
          return {
            images,
            results: Object.fromEntries(results.map(([key, value]) => [key, numbersOf(value)])),
          }
        } catch (error) {
          if (attempt === batches.length - 1) throw error
        }
    } finally {
      await session.release()
    }
  } catch (error) {
    return asZooError(error)
  }
}

function numbersOf(tensor: Tensor): readonly number[] {
  if (tensor.strings) return []
  return tensor.dtype === 'float16' ? Array.from(tensor.numbers, fromFloat16) : tensor.numbers
}

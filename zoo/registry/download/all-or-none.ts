import pLimit from 'p-limit'

/**
 * Does something for every item, so many at once. When one fails the others are told to stop: nobody waits for the rest
 * of a transfer that has failed already.
 */
export async function allOrNone<T, R>(
  concurrency: number,
  items: readonly T[],
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const limit = pLimit({ concurrency, rejectOnClear: true })
  const controller = new AbortController()
  try {
    return await limit.map(items, (item) => work(item, controller.signal))
  } catch (error) {
    controller.abort()
    limit.clearQueue()
    throw error
  }
}

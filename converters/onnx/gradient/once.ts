/** Emits what several gradients share when the first of them asks for it. */
export function once<T>(emit: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: emit() }
    return made.value
  }
}

import { ZooError } from '../../../manifests/error.ts'
import type { Feeds, SessionValue } from './session.ts'

/**
 * Checks feeds against a model's inputs: names, element types, ranks, fixed sizes, and one size per symbol.
 *
 * @throws ZooError `invalid-data` that says all that is wrong
 */
export function checkFeeds(inputs: readonly SessionValue[], feeds: Feeds): void {
  const wrong: string[] = []
  const symbols = new Map<string, number>()
  for (const { name, dtype, dims } of inputs) {
    const tensor = feeds[name]
    if (!tensor) {
      wrong.push(`input "${name}" is missing`)
      continue
    }
    if (tensor.dtype !== dtype) wrong.push(`input "${name}" is ${tensor.dtype}, not ${dtype}`)
    const fits =
      dims === null ||
      (dims.length === tensor.dims.length &&
        dims.every((dim, axis) => {
          const size = tensor.dims[axis]!
          if (typeof dim !== 'string') return dim === null || dim === size
          const known = symbols.get(dim)
          if (known === undefined) symbols.set(dim, size)
          return known === undefined || known === size
        }))
    if (!fits)
      wrong.push(`input "${name}" has shape [${tensor.dims}], not [${dims?.map((dim) => dim ?? '?')}]`)
  }
  const names = new Set(inputs.map((input) => input.name))
  for (const name of Object.keys(feeds)) if (!names.has(name)) wrong.push(`the model has no input "${name}"`)
  if (wrong.length > 0) throw new ZooError('invalid-data', `feeds do not fit the model: ${wrong.join('; ')}`)
}

import { ZooError } from '../manifests/error.ts'

/**
 * A radius from how people write it: `8/255`, `0.031` or a number.
 *
 * @throws ZooError `usage` for anything that isn't a positive number
 */
export function parseEps(text: string | number): number {
  const [numerator, denominator = '1', ...more] = String(text).split('/')
  const value = Number(numerator) / Number(denominator)
  if (more.length > 0 || numerator!.trim() === '' || !(value > 0) || !Number.isFinite(value))
    throw new ZooError('usage', `'${text}' is no perturbation size`, {
      hint: 'give a fraction of [0,1] such as 8/255, 0.3 or 0.5',
    })
  return value
}

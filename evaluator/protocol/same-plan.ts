import { ZooError } from '../../manifests/error.ts'
import { canonical } from './canonical.ts'
import type { Plan } from './plan.ts'

/**
 * Refuses to go on in a folder that holds another plan, and says in what they differ.
 *
 * @throws ZooError `conflict`
 */
export function checkSamePlan(stored: Plan, asked: Plan, dir: string): void {
  const differing = differences(stored.protocol, asked.protocol)
  if (canonical(stored.shard) !== canonical(asked.shard)) differing.push('shard')
  if (differing.length === 0) return
  throw new ZooError(
    'conflict',
    `${dir} holds an evaluation with another plan; they differ in ${differing.join(', ')}`,
    {
      hint: 'choose another --out, or repeat the command that began it',
    },
  )
}

/** Paths of the fields in which two documents differ. */
export function differences(a: unknown, b: unknown, path = ''): string[] {
  if (canonical(a ?? null) === canonical(b ?? null)) return []
  if (!isRecord(a) || !isRecord(b)) return [path]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differences(a[key], b[key], path ? `${path}.${key}` : key),
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZooError } from '../../../manifests/error.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import {
  type Signer,
  type TrustPolicy,
  trustPolicySchema,
  type VerifyMode,
} from '../../../manifests/schema/trust.ts'
import type { Settings } from '../settings.ts'

/** The user's policy, or one that trusts nobody. */
export function readPolicy(settings: Settings): TrustPolicy {
  const path = policyPath(settings)
  if (!existsSync(path)) return trustPolicySchema.parse({ schemaVersion: 1 })
  try {
    return parseAs(trustPolicySchema, JSON.parse(readFileSync(path, 'utf8')), path)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${error.message}`)
  }
}

export const policyPath = (settings: Settings): string => join(settings.config, 'trust.json')

/** Who is trusted for a model, by name, and whether a signature is a must. */
export interface Trust {
  readonly signers: ReadonlyMap<string, Signer>
  readonly verify: VerifyMode | undefined
}

export function trustFor(policy: TrustPolicy, model: string): Trust {
  const rule = policy.rules.find(({ names }) => fits(names, model))
  const signers = rule?.signers.map((name): [string, Signer] => [name, policy.signers[name]!]) ?? []
  return { signers: new Map(signers), verify: rule?.verify }
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

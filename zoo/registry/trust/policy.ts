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

/**
 * Whom to trust: the user's own policy, whose rules come first and may name the zoo's signers too, then the one that
 * ships with the zoo for its own models.
 *
 * @throws ZooError `invalid-manifest`
 */
export function readPolicy(settings: Settings): TrustPolicy {
  const shipped = readPolicyFile(join(settings.shipped, POLICY_FILE), {})
  const own = readPolicyFile(policyPath(settings), shipped.signers)
  return { ...own, rules: [...own.rules, ...shipped.rules] }
}

/** @param known signers whom the policy may name without saying who they are */
function readPolicyFile(path: string, known: TrustPolicy['signers']): TrustPolicy {
  if (!existsSync(path)) return trustPolicySchema.parse({ schemaVersion: 1, signers: known })
  try {
    const document = JSON.parse(readFileSync(path, 'utf8')) as { signers?: object } | null
    return parseAs(
      trustPolicySchema,
      document && { ...document, signers: { ...known, ...document.signers } },
      path,
    )
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ZooError('invalid-manifest', `${path} is not JSON: ${error.message}`)
  }
}

const POLICY_FILE = 'trust.json'

export const policyPath = (settings: Settings): string => join(settings.config, POLICY_FILE)

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

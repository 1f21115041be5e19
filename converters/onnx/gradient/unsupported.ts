import { ZooError } from '../../../manifests/error.ts'
import { describe } from '../graph.ts'
import type { Call } from './rule.ts'

/** For a rule that doesn't cover some form of its operator. */
export const unsupported = ({ node }: Call, what: string): ZooError =>
  new ZooError('unsupported-model', `no gradient rule for ${describe(node)} with ${what}`, {
    hint: 'export the model with other operators, or treat this one as the identity (--straight-through NODE)',
  })

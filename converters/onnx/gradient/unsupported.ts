import { ZooError } from '../../../manifests/error.ts'
import { describe } from '../graph.ts'
import type { Call } from './rule.ts'

/** For a rule that doesn't cover some form of its operator. */
export const unsupported = ({ node }: Call, what: string): ZooError =>
  new ZooError('unsupported-model', `no gradient rule for ${describe(node)} with ${what}`, {
    hint: 'replace the gradient of this node, or export the model with other operators',
  })

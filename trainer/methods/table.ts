import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import type { Method, MethodContext, Step } from './method.ts'
import { pgdAt } from './pgd-at.ts'
import { standard } from './standard.ts'

/** Every training method by its name in recipes. */
const METHODS: { [Name in MethodSpec['name']]: Method<Extract<MethodSpec, { name: Name }>> } = {
  standard,
  'pgd-at': pgdAt,
}

/** The step of the recipe's method. */
export const stepOf = (spec: MethodSpec, context: MethodContext): Step =>
  (METHODS[spec.name] as Method<MethodSpec>)(spec, context)

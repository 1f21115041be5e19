import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { advprop } from './advprop.ts'
import { alp } from './alp.ts'
import { awp } from './awp.ts'
import { bilateral } from './bilateral.ts'
import { ensembleAt } from './ensemble-at.ts'
import { fastAt } from './fast-at.ts'
import { featureScattering } from './feature-scattering.ts'
import { fgsmAt } from './fgsm-at.ts'
import { freeAt } from './free-at.ts'
import { iaat } from './iaat.ts'
import { llr } from './llr.ts'
import { mart } from './mart.ts'
import type { Method, MethodContext, Step } from './method.ts'
import { pgdAt } from './pgd-at.ts'
import { standard } from './standard.ts'
import { trades } from './trades.ts'
import { yopo } from './yopo.ts'

/** Every training method by its name in recipes. */
const METHODS: { [Name in MethodSpec['name']]: Method<Extract<MethodSpec, { name: Name }>> } = {
  standard,
  'pgd-at': pgdAt,
  'fgsm-at': fgsmAt,
  'fast-at': fastAt,
  'free-at': freeAt,
  yopo,
  alp,
  trades,
  mart,
  awp,
  advprop,
  'ensemble-at': ensembleAt,
  bilateral,
  'feature-scattering': featureScattering,
  llr,
  iaat,
}

/** The step of the recipe's method. */
export const stepOf = async (spec: MethodSpec, context: MethodContext): Promise<Step> =>
  (METHODS[spec.name] as Method<MethodSpec>)(spec, context)

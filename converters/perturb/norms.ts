import { l1 } from './l1.ts'
import { l2 } from './l2.ts'
import { linf } from './linf.ts'
import type { Norm, NormName } from './norm.ts'

/** Every norm by its name in manifests, batteries and options. */
export const NORMS: Readonly<Record<NormName, Norm>> = { linf, l2, l1 }

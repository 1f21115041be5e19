import type { Lowering } from '../lowering/lowering.ts'
import type { Constant, Value } from '../lowering/value.ts'
import type { Config } from './config.ts'

/** What a rule is given: one call of one layer. */
export interface Call {
  readonly l: Lowering
  readonly config: Config
  /** The only input of a layer that takes one. */
  readonly x: Value
  readonly inputs: readonly Value[]
  /** The layer's own weight of this name, such as `kernel`. */
  weight(name: string): Constant
}

/** Writes one layer as tfjs computes it for inference. */
export type LayerRule = (call: Call) => Value

export type LayerTable = Readonly<Record<string, LayerRule>>

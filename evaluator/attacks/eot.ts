import type { Oracle, Slope } from './attack.ts'

/**
 * Expectation over transformation (Athalye et al. 2018): for a model whose answers are random, the loss and its gradient
 * are means over `passes` passes. The logits are those of the last one.
 */
export function averaged(oracle: Oracle, passes: number): Oracle {
  if (passes === 1) return oracle
  return {
    ...oracle,
    async gradients(queries, loss) {
      let means: Slope[] = []
      for (let pass = 0; pass < passes; pass++) {
        const slopes = await oracle.gradients(queries, loss)
        means = slopes.map(({ logits, loss, gradient }, i) => ({
          logits,
          loss: (means[i]?.loss ?? 0) + loss / passes,
          gradient: added(means[i]?.gradient, gradient, 1 / passes),
        }))
      }
      return means
    },
  }
}

function added(sum: Float32Array | undefined, values: Float32Array, scale: number): Float32Array {
  const total = sum ?? new Float32Array(values.length)
  for (let i = 0; i < total.length; i++) total[i]! += scale * values[i]!
  return total
}

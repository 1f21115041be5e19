import { type Attack, type Query, submitMisclassified } from './attack.ts'

/**
 * Random points of the ball, cut to [0,1]: the floor that every attack must beat, and a check that
 * a model's mistakes are rare unless they are looked for.
 */
export function noise({ draws }: { readonly draws: number }): Attack {
  return async ({ examples, norm }, oracle) => {
    let standing: Query[] = examples.map((example) => ({ example, x: example.origin.slice() }))
    for (let draw = 0; draw < draws && standing.length > 0; draw++) {
      for (const { example, x } of standing) {
        norm.sample(x, example.origin, example.eps, [...example.key, draw])
        norm.project(x, example.origin, example.eps)
      }
      standing = await submitMisclassified(oracle, standing, await oracle.logits(standing))
    }
  }
}

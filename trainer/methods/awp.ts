import type { MethodSpec } from '../../manifests/schema/recipe.ts'
import { decorated } from '../engines/decorate.ts'
import type { Engine } from '../engines/engine.ts'
import type { Method } from './method.ts'
import { stepOf } from './table.ts'

type Pass = Parameters<Engine['accumulate']>

/**
 * Adversarial weight perturbation (Wu, Xia & Wang 2020) around any method: before each step, the kernels are moved once
 * along the gradient of the method's own loss, each by gamma times its norm; the step's gradient is taken there, on the
 * same images, and the perturbation is taken back after the step. Only the second pass moves running statistics.
 */
export const awp: Method<Extract<MethodSpec, { name: 'awp' }>> = (spec, context) => {
  const { engine } = context
  const passes: Pass[] = []
  const accumulate: Engine['accumulate'] = (...pass) => {
    passes.push(pass)
    const [form, ...rest] = pass
    return engine.accumulate({ ...form, statistics: [] }, ...rest)
  }
  const update = async (): Promise<void> => {
    await engine.perturb(spec.gamma)
    for (const pass of passes) await engine.accumulate(...pass)
    passes.length = 0
    await context.update()
    await engine.restore()
  }
  return stepOf(spec.method, { ...context, engine: decorated(engine, { accumulate }), update })
}

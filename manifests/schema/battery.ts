import { z } from 'zod'

export const normSchema = z.enum(['linf', 'l2', 'l1'])

/** A radius as a fraction of [0,1]: a number, or a fraction as people write it, `"8/255"`. */
export const epsSchema = z.union([
  z.number().positive(),
  z.string().regex(/^\d+(\.\d+)?\/\d+$/, 'a fraction such as 8/255'),
])

const count = z.int().positive()

const common = {
  /** Appears in results; unique in its battery. */
  name: z.string().regex(/^[a-z0-9]+([.-][a-z0-9]+)*$/),
  /** Why it stands here with these settings, for readers. */
  note: z.string().optional(),
  /** Norms that it is run for; all when absent. */
  norms: z.array(normSchema).min(1).optional(),
  restarts: count.default(1),
}

/** What attacks that take gradients have besides. */
const gradient = {
  ...common,
  /** Expectation over transformation (Athalye et al. 2018): gradients are means over this many passes of a random model. */
  eot: count.default(1),
  /** Take gradients from this model instead, a zoo name or a path: a transfer attack. */
  source: z.string().optional(),
}

const pgdSchema = z.strictObject({
  kind: z.literal('pgd'),
  ...gradient,
  loss: z.enum(['ce', 'margin', 'dlr']).default('ce'),
  targets: z.enum(['random', 'least-likely', 'given', 'all', 'likely']).optional(),
  /** Several numbers score one run at several iterations: their walks share their beginnings. */
  iterations: z.union([count, z.array(count).min(2)]),
  /** Length of a step as a multiple of eps. */
  step: z.number().positive(),
  schedule: z.enum(['constant', 'linear', 'cosine']).default('constant'),
  start: z.enum(['random', 'varied', 'clean']).default('random'),
  momentum: z.number().nonnegative().default(0),
  score: z.enum(['any', 'final']).default('any'),
})

const apgdSchema = z.strictObject({
  kind: z.literal('apgd'),
  ...gradient,
  loss: z.enum(['ce', 'dlr', 'targeted-dlr']),
  iterations: count,
  /** For the targeted loss: how many classes, from the most likely wrong one on; each takes all restarts. */
  targets: count.optional(),
  largerRadii: z.boolean().default(false),
})

const fabSchema = z.strictObject({
  kind: z.literal('fab'),
  ...gradient,
  iterations: count,
  /** Targeted where given: how many classes, from the most likely wrong one on. */
  targets: count.optional(),
})

const squareSchema = z.strictObject({ kind: z.literal('square'), ...common, queries: count })

const deepFoolSchema = z.strictObject({
  kind: z.literal('deepfool'),
  ...gradient,
  iterations: count.default(50),
  overshoot: z.number().nonnegative().default(0.02),
  /** Only the most likely classes are looked at. */
  classes: count.default(10),
})

const carliniWagnerSchema = z.strictObject({
  kind: z.literal('carlini-wagner'),
  ...gradient,
  iterations: count.default(1000),
  searches: count.default(9),
  learningRate: z.number().positive().default(0.01),
  initialConstant: z.number().positive().default(0.001),
  confidence: z.number().nonnegative().default(0),
})

const fmnSchema = z.strictObject({ kind: z.literal('fmn'), ...gradient, iterations: count.default(100) })

const hopSkipJumpSchema = z.strictObject({
  kind: z.literal('hopskipjump'),
  ...common,
  /** Calls of the model for one example, at most. */
  queries: count.default(5000),
})

const noiseSchema = z.strictObject({ kind: z.literal('noise'), ...common, draws: count })

export const attackSchema = z.discriminatedUnion('kind', [
  pgdSchema,
  apgdSchema,
  fabSchema,
  squareSchema,
  deepFoolSchema,
  carliniWagnerSchema,
  fmnSchema,
  hopSkipJumpSchema,
  noiseSchema,
])

/** A versioned list of attacks and what their outcomes add up to. A change that can change a number is a new version. */
export const batterySchema = z
  .strictObject({
    $schema: z.string().optional(),
    schemaVersion: z.literal(1),
    id: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
    version: z.string().min(1),
    description: z.string().min(1),
    source: z.string().optional(),
    /**
     * `worst-case`: each attack runs on the examples that still stand, and an example is robust if none broke it.
     * `each`: every attack runs on every image, and `robust` is what the attack of that name leaves.
     */
    aggregation: z.enum(['worst-case', 'each']),
    /** Under `each`: the attack, or the iteration of an attack, that `robust` is taken from; the smallest accuracy when absent. */
    decisive: z.string().optional(),
    attacks: z.array(attackSchema).min(1),
    /** Images on which the warning checks are run: PGD with one, some and twice as many steps, and at eps 0.5; 0 for none. */
    checks: z.int().nonnegative().default(64),
    /** The field's customary threats: used where neither options, data set nor model say otherwise. The first is the default norm. */
    threats: z.array(z.strictObject({ dataset: z.string(), norm: normSchema, eps: epsSchema })).default([]),
  })
  .check(({ value, issues }) => {
    const complain = (message: string, path: (string | number)[]) =>
      issues.push({ code: 'custom', message, path, input: value })
    for (const [i, attack] of value.attacks.entries()) {
      const others = value.attacks.slice(0, i)
      const norms = (entry: AttackEntry) => entry.norms ?? normSchema.options
      if (
        others.some(
          (other) => other.name === attack.name && norms(other).some((norm) => norms(attack).includes(norm)),
        )
      )
        complain(`two attacks for one norm are called ${attack.name}`, ['attacks', i, 'name'])
      if (attack.kind === 'pgd' && Array.isArray(attack.iterations) && attack.score !== 'final')
        complain('only final iterates can be scored at several iterations', ['attacks', i, 'score'])
    }
    const names = value.attacks.flatMap(scoreNames)
    if (value.decisive !== undefined && !names.includes(value.decisive))
      complain(`no attack is scored as ${value.decisive}: there are ${names.join(', ')}`, ['decisive'])
  })

/** What results call an attack's scores: its name, with the iteration where it is scored at several. */
export const scoreNames = (entry: AttackEntry): string[] =>
  entry.kind === 'pgd' && Array.isArray(entry.iterations)
    ? entry.iterations.map((iteration) => `${entry.name}-${iteration}`)
    : [entry.name]

export type Battery = z.infer<typeof batterySchema>
export type AttackEntry = z.infer<typeof attackSchema>

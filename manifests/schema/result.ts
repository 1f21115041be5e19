import { z } from 'zod'
import { normSchema } from './battery.ts'
import { sha256Schema } from './model.ts'

const fraction = z.number().min(0).max(1)
const count = z.int().nonnegative()

/** A share of examples with its 95 % interval (Wilson 1927). */
export const shareSchema = z.strictObject({ accuracy: fraction, interval: z.tuple([fraction, fraction]) })

/** A reason to trust a number less, in words that say what was seen. */
export const flagSchema = z.strictObject({ name: z.string().min(1), reason: z.string().min(1) })

export const attackResultSchema = z.strictObject({
  name: z.string(),
  /** Under `worst-case`: of all examples, those that stand after this attack and all before it. Under `each`: after this one alone. */
  robustAccuracy: fraction,
  interval: z.tuple([fraction, fraction]),
  /** Of a targeted attack that is scored at its end: images classified as the target. */
  targetRate: fraction.optional(),
  /** Where the attack looks for the smallest perturbation: the median over all examples; null where more than half stand. */
  medianNorm: z.number().nullable().optional(),
  iterations: z.int().positive().optional(),
  seconds: z.number().nonnegative(),
  /** Images sent through the model, and images whose gradient was taken. */
  forwards: count,
  backwards: count,
})

/** What `zoo eval` prints and keeps as `result.json`. */
export const resultSchema = z.strictObject({
  schemaVersion: z.literal(1),
  model: z.strictObject({ name: z.string(), sha256: sha256Schema }),
  dataset: z.strictObject({
    name: z.string(),
    sha256: z.string(),
    /** How many were evaluated: the first so many. */
    examples: z.int().positive(),
    /** How many there are. */
    size: z.int().positive(),
  }),
  battery: z.strictObject({
    id: z.string(),
    version: z.string(),
    aggregation: z.enum(['worst-case', 'each']),
    sha256: sha256Schema,
  }),
  threat: z.strictObject({
    norm: normSchema,
    /** null where the data set gives every example its own. */
    eps: z.number().positive().nullable(),
    targeted: z.boolean(),
  }),
  /** False where the model offers no gradient, so that only attacks without gradients were run; then `gradientsReason` says why. */
  gradients: z.boolean(),
  gradientsReason: z.string().optional(),
  /** Attacks of the battery that were left out, each with the reason. */
  skipped: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  seed: count,
  provider: z.string(),
  software: z.record(z.string(), z.string()),
  clean: shareSchema,
  robust: shareSchema,
  attacks: z.array(attackResultSchema),
  /** Robust accuracy against gradients spent per example, on average over those that still stood. */
  curve: z.array(z.strictObject({ backwards: z.number().nonnegative(), accuracy: fraction })),
  flags: z.array(flagSchema),
  /** Digest of the plan: equal plans on equal machines give equal outcomes. */
  plan: sha256Schema,
  date: z.iso.datetime(),
})

/** One row of `examples.json`. */
export const exampleSchema = z.strictObject({
  index: count,
  label: z.int(),
  clean: z.boolean(),
  robust: z.boolean(),
  /** An attack's name, `clean` if misclassified unperturbed, null if unbroken. */
  brokenBy: z.string().nullable(),
  /** Size of the perturbation, 0 for `clean`, null if unbroken. */
  norm: z.number().nonnegative().nullable(),
  /** Spent on this example by all attacks. */
  forwards: count,
  backwards: count,
})

export const examplesSchema = z.array(exampleSchema)

export type Share = z.infer<typeof shareSchema>
export type Flag = z.infer<typeof flagSchema>
export type AttackResult = z.infer<typeof attackResultSchema>
export type Result = z.infer<typeof resultSchema>
export type ExampleRow = z.infer<typeof exampleSchema>

import { z } from 'zod'
import { epsSchema } from './battery.ts'
import { sha256Schema, threatSchema } from './model.ts'
import { attackResultSchema, flagSchema, resultSchema, shareSchema } from './result.ts'

/** Which images, as the digest of their indices in the data set: `sha256("0\n1\n2\n")`. */
const imagesSchema = z.strictObject({ count: z.int().positive(), sha256: sha256Schema })

/** What a reader wants to know of a model beside its accuracy; absent where no manifest says it. */
const modelSchema = z.strictObject({
  name: z.string().min(1),
  sha256: sha256Schema,
  version: z.string().optional(),
  description: z.string().optional(),
  architecture: z.string().optional(),
  parameters: z.int().positive().optional(),
  flops: z.number().positive().optional(),
  /** Weight layers on the longest path. */
  depth: z.int().positive().optional(),
  normalisation: z.string().optional(),
  branch: z.string().optional(),
  /** How it was trained: `pgd-at`, `trades`. */
  method: z.string().optional(),
  recipe: z.string().optional(),
  /** The seed of its training: several models of one recipe say how much a number owes to it. */
  trainingSeed: z.int().nonnegative().optional(),
  /** Clean images trained on beside the adversarial ones, as a share of the batch. */
  cleanRatio: z.number().min(0).max(1).optional(),
  trainedFor: threatSchema.optional(),
  licence: z.string().optional(),
  authors: z.array(z.string()).default([]),
  paper: z.string().optional(),
})

export const entrySchema = z.strictObject({
  /**
   * The best and the worst place that this model can claim: 1 + the models significantly better than it, and
   * all models minus those significantly worse, by paired tests on the same images.
   */
  rank: z.strictObject({ best: z.int().positive(), worst: z.int().positive() }),
  model: modelSchema,
  clean: shareSchema,
  robust: shareSchema,
  attacks: z.array(attackResultSchema),
  /** All attacks together. */
  budget: z.strictObject({
    seconds: z.number().nonnegative(),
    forwards: z.number().nonnegative(),
    backwards: z.number().nonnegative(),
  }),
  /** Robust accuracy against gradients per image. */
  curve: resultSchema.shape.curve,
  /** Accuracy against eps, where attacks looked for the smallest perturbation of each image. */
  security: z
    .array(z.strictObject({ eps: z.number().nonnegative(), accuracy: z.number().min(0).max(1) }))
    .optional(),
  /** Warning flags, each with what the submitter says of it. */
  flags: z.array(flagSchema.extend({ explanation: z.string().optional() })),
  /** Attacks of the battery that were left out, each with the reason: the model has no gradient, say. */
  skipped: resultSchema.shape.skipped,
  images: imagesSchema,
  seed: z.int().nonnegative(),
  software: z.record(z.string(), z.string()),
  provider: z.string(),
  /** When the evaluation finished, UTC. */
  date: z.iso.datetime(),
  /** Who signed the model's files, where a trusted signature was verified. */
  signer: z.string().optional(),
  /** Where the outcomes of every image lie, relative to the board's folder, and the digest of that folder's files. */
  ledger: z.strictObject({ path: z.string().min(1), sha256: sha256Schema }),
  /** The command that reproduces the numbers. */
  command: z.string().min(1),
})

/** `submission.json`, beside a ledger: what its submitter has to say. */
export const submissionSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Why each warning flag is no reason for doubt, or what the doubt amounts to, by the flag's name. */
  explanations: z.record(z.string(), z.string().min(1)),
})

/** A figure published elsewhere: shown for orientation, never ranked, never called measured. */
export const reportedEntrySchema = z.strictObject({
  name: z.string().min(1),
  dataset: z.string().min(1),
  threat: threatSchema.extend({ eps: epsSchema }),
  /** Whose protocol produced the figure; it is shown only beside the same battery. */
  battery: z.string().min(1),
  images: z.int().positive(),
  /** Fractions. */
  clean: z.number().min(0).max(1).optional(),
  robust: z.number().min(0).max(1),
  /** Where a stronger attack is known than the battery's. */
  bestKnown: z.number().min(0).max(1).optional(),
  note: z.string().optional(),
})

export const reportedSchema = z.strictObject({
  $schema: z.string().optional(),
  schemaVersion: z.literal(1),
  source: z.strictObject({
    name: z.string().min(1),
    url: z.url({ protocol: /^https$/ }),
    licence: z.string().min(1).optional(),
    /** The date of the source's data. */
    date: z.iso.date(),
    note: z.string().optional(),
  }),
  entries: z.array(reportedEntrySchema).min(1),
})

/**
 * One track of the board: a data set, a threat and one version of a battery. Numbers of different tracks are
 * never ranked together, so the protocol of a paper and a worst-case battery cannot meet in one column.
 */
export const trackSchema = z.strictObject({
  $schema: z.string().optional(),
  schemaVersion: z.literal(1),
  /** `mnist-linf-0.1-quick-v1`; also the name of the track's folder. */
  id: z.string().regex(/^[a-z0-9._-]+$/),
  /** The board's version that this document belongs to. Published versions never change. */
  version: z.int().positive(),
  /** The last evaluation's date: a document made twice from the same ledgers is the same document. */
  date: z.iso.datetime(),
  /** `size`: how many examples it holds; how many were evaluated is each entry's own. */
  dataset: resultSchema.shape.dataset.omit({ examples: true }),
  threat: resultSchema.shape.threat,
  battery: resultSchema.shape.battery,
  /** The one seed of all entries; random targets must be the same for all of them. Absent where they differ. */
  seed: z.int().nonnegative().optional(),
  entries: z.array(entrySchema).min(1),
  reported: z.array(reportedEntrySchema.extend({ source: z.url() })).default([]),
})

/** All tracks of one version of the board. */
export const boardSchema = z.strictObject({
  $schema: z.string().optional(),
  schemaVersion: z.literal(1),
  version: z.int().positive(),
  date: z.iso.datetime(),
  tracks: z.array(z.strictObject({ id: z.string(), path: z.string(), sha256: sha256Schema })).min(1),
})

export type Entry = z.infer<typeof entrySchema>
export type ReportedEntry = z.infer<typeof reportedEntrySchema>
export type Reported = z.infer<typeof reportedSchema>
export type Track = z.infer<typeof trackSchema>
export type Board = z.infer<typeof boardSchema>

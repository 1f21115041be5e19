import { z } from 'zod'
import { inputSchema } from './input.ts'
import { sourceSchema } from './source.ts'

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 is 64 lower-case hexadecimal digits')
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/, 'names are lower-case letters and digits, joined by - . or _')

export const fileSchema = z.strictObject({
  path: z.string().regex(/^(?!\/)(?!.*\.\.)[\w./@-]+$/, 'a relative path inside the model, without ..'),
  size: z.int().nonnegative(),
  sha256: sha256Schema,
})

/** What the registry puts beside a model's files, so that no file may be called so. */
const RESERVED = ['manifest.json', 'documents.tar']

function eachOnce({
  value: files,
  issues,
}: {
  value: { path: string }[]
  issues: z.core.$ZodRawIssue[]
}): void {
  const seen = new Set(RESERVED)
  for (const { path } of files) {
    if (seen.has(path.toLowerCase()))
      issues.push({
        code: 'custom',
        message: `${path} comes twice, or is a name of the registry's own`,
        input: path,
      })
    seen.add(path.toLowerCase())
  }
}

/** The threat that a model was trained for or is evaluated under. eps is a fraction of [0,1]. */
export const threatSchema = z.strictObject({
  norm: z.enum(['linf', 'l2', 'l1']),
  eps: z.number().nonnegative(),
  targeted: z.boolean().default(false),
})

const accuracySchema = z.strictObject({
  accuracy: z.number().min(0).max(1),
  /** Low and high at 95 %. */
  interval: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]),
})

/** An evaluation that the model's authors publish with it. The leaderboard makes its own. */
const resultSchema = z.strictObject({
  battery: z.strictObject({ id: nameSchema, version: z.string().min(1) }),
  threat: threatSchema,
  dataset: z.strictObject({ name: z.string().min(1), sha256: sha256Schema, examples: z.int().positive() }),
  clean: accuracySchema,
  robust: accuracySchema,
})

export const modelManifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: nameSchema,
  /** Also a tag in a registry, and it never changes its content there. */
  version: z
    .string()
    .regex(/^\w[\w.-]{0,127}$/, 'a version is letters, digits, dots, hyphens and underscores'),
  description: z.string().min(1),
  /** The first file is the ONNX model itself; others are its external data, card and reports. */
  files: z.array(fileSchema).min(1).check(eachOnce),
  architecture: z.string().min(1),
  parameters: z.int().positive(),
  /** Weight layers on the longest path. */
  depth: z.int().positive().optional(),
  /** Multiply-adds of one forward pass over one image, times two. */
  flops: z.number().positive().optional(),
  opset: z.int().positive().optional(),
  input: inputSchema,
  output: z.enum(['auto', 'logits', 'log-probabilities', 'probabilities']).default('auto'),
  classes: z.array(z.string()).min(2),
  dataset: nameSchema,
  normalisation: z.string().optional(),
  /** Which branch of a mixture norm was exported. */
  branch: z.enum(['main', 'clean', 'adv']).default('main'),
  threat: threatSchema.optional(),
  /** How it was trained: `pgd-at`, `trades`, `awp over pgd-at`. */
  method: z.string().min(1).optional(),
  /** The recipe that it was trained by; its `seed` is part of it. */
  recipe: z
    .strictObject({ name: nameSchema, sha256: sha256Schema, seed: z.int().nonnegative().optional() })
    .optional(),
  trainingData: z.string().optional(),
  /** Clean images trained on beside the adversarial ones, as a share of the batch: 0 is adversarial images alone. */
  cleanRatio: z.number().min(0).max(1).optional(),
  licence: z.string().min(1),
  authors: z.array(z.string()).default([]),
  paper: z.string().optional(),
  /** Folders or repositories that hold the files under their paths, tried in order. */
  sources: z.array(sourceSchema).default([]),
  results: z.array(resultSchema).default([]),
})

export type ModelManifest = z.infer<typeof modelManifestSchema>

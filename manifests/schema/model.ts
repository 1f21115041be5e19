import { z } from 'zod'
import { inputSchema } from './input.ts'

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 is 64 lower-case hexadecimal digits')
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/, 'names are lower-case letters and digits, joined by - . or _')

export const fileSchema = z.strictObject({
  path: z.string().regex(/^(?!\/)(?!.*\.\.)[\w./@-]+$/, 'a relative path inside the model, without ..'),
  size: z.int().nonnegative(),
  sha256: sha256Schema,
})

/** The threat that a model was trained for or is evaluated under. eps is a fraction of [0,1]. */
export const threatSchema = z.strictObject({
  norm: z.enum(['linf', 'l2', 'l1']),
  eps: z.number().nonnegative(),
  targeted: z.boolean().default(false),
})

export const modelManifestSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: nameSchema,
  version: z.string().min(1),
  description: z.string().min(1),
  /** The first file is the ONNX model itself; others are its external data, card and reports. */
  files: z.array(fileSchema).min(1),
  architecture: z.string().min(1),
  parameters: z.int().positive(),
  /** Multiply-adds of one forward pass over one image, times two. */
  flops: z.number().positive().optional(),
  input: inputSchema,
  output: z.enum(['auto', 'logits', 'log-probabilities', 'probabilities']).default('auto'),
  classes: z.array(z.string()).min(2),
  dataset: nameSchema,
  normalisation: z.string().optional(),
  /** Which branch of a mixture norm was exported. */
  branch: z.enum(['main', 'clean', 'adv']).default('main'),
  threat: threatSchema.optional(),
  recipe: z.strictObject({ name: nameSchema, sha256: sha256Schema }).optional(),
  trainingData: z.string().optional(),
  licence: z.string().min(1),
  authors: z.array(z.string()).default([]),
  paper: z.string().optional(),
  sources: z.array(z.string()).default([]),
})

export type ModelManifest = z.infer<typeof modelManifestSchema>

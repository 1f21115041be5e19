import { z } from 'zod'
import { ZooError } from '../../manifests/error.ts'

const quantizationSchema = z.object({
  dtype: z.enum(['uint8', 'uint16', 'float16']),
  min: z.number().optional(),
  scale: z.number().optional(),
})

/** Loose, as tfjs is given these back: it marks an optimiser's weights by a `group`. */
const weightSchema = z.looseObject({
  name: z.string(),
  shape: z.array(z.int().nonnegative()),
  dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
  quantization: quantizationSchema.optional(),
})

const groupSchema = z.object({ paths: z.array(z.string()).min(1), weights: z.array(weightSchema) })

/** What tfjs calls a signature: names of tensors, by the names under which callers know them. */
const signatureSchema = z.object({
  inputs: z.record(z.string(), z.object({ name: z.string() })).optional(),
  outputs: z.record(z.string(), z.object({ name: z.string() })).optional(),
})

/** The parts of a model.json that conversion needs. */
const modelJsonSchema = z.looseObject({
  format: z.string().optional(),
  generatedBy: z.string().nullish(),
  convertedBy: z.string().nullish(),
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(groupSchema),
  signature: signatureSchema.nullish(),
  userDefinedMetadata: z.looseObject({ signature: signatureSchema.nullish() }).nullish(),
})

export type ModelJson = z.infer<typeof modelJsonSchema>
export type WeightSpec = z.infer<typeof weightSchema>
export type Signature = z.infer<typeof signatureSchema>

/**
 * Reads a tfjs model.json. All bad fields are reported together.
 *
 * @throws ZooError `invalid-model`
 */
export function parseModelJson(text: string, path: string): ModelJson {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw new ZooError('invalid-model', `${path} is not JSON`, {
      hint: 'zoo convert takes the model.json of a tfjs model',
      cause,
    })
  }
  if (Array.isArray(document))
    throw new ZooError('invalid-model', `${path} lists weights but describes no network`, {
      hint: 'some packages keep the network in their code; such weights cannot be converted',
    })
  const result = modelJsonSchema.safeParse(document)
  if (!result.success)
    throw new ZooError('invalid-model', `${path} is no tfjs model:\n${z.prettifyError(result.error)}`)
  return result.data
}

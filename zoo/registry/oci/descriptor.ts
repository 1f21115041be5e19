import { z } from 'zod'

/** The parts of the OCI image specification 1.1 that models need. Unknown fields are kept out of the way, not refused. */
export const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'only sha256 digests are understood'),
  size: z.int().nonnegative(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})

export const imageManifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.literal('application/vnd.oci.image.manifest.v1+json'),
  artifactType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema),
  /** The artifact that this one is about, such as the model that a signature signs. */
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})

export const imageIndexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  manifests: z.array(descriptorSchema),
})

export type Descriptor = z.infer<typeof descriptorSchema>
export type ImageManifest = z.infer<typeof imageManifestSchema>

export const IMAGE_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const IMAGE_INDEX = 'application/vnd.oci.image.index.v1+json'
export const REF_NAME = 'org.opencontainers.image.ref.name'

/** The hexadecimal part of `sha256:...`. */
export const hexOf = (digest: string): string => digest.slice('sha256:'.length)

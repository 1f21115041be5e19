import { z } from 'zod'
import { fileSchema, nameSchema } from './model.ts'
import { sourceSchema } from './source.ts'

/**
 * A file of a data set and where to get it, tried in order. A source that keeps the same content in another form is
 * converted, and the outcome must have the file's digest like any other:
 * `cifar-sheet` makes a CIFAR binary batch from a lossless sheet of 10,000 rows, one image a row, and a JSON list of
 * labels, of which the batch's begin at `firstLabel`.
 */
const dataFileSchema = fileSchema.extend({
  sources: z
    .array(
      z.union([
        sourceSchema,
        z.strictObject({
          convert: z.literal('cifar-sheet'),
          images: sourceSchema,
          labels: sourceSchema,
          firstLabel: z.int().nonnegative(),
        }),
      ]),
    )
    .min(1),
})

const splitSchema = z.strictObject({
  examples: z.int().positive(),
  /** Files with the images, in order; in the `cifar` format they hold the labels too. */
  images: z.array(z.string()).min(1),
  labels: z.array(z.string()).default([]),
})

/**
 * A data set as the zoo knows it.
 * Formats: `idx`, the MNIST family's, plain or gzipped; `cifar`, the CIFAR-10 binary records of one label byte and
 * 3 x 32 x 32 bytes in planes.
 */
export const datasetManifestSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    name: nameSchema,
    title: z.string().min(1),
    description: z.string().min(1),
    format: z.enum(['idx', 'cifar']),
    /** Channels, height, width. */
    shape: z.tuple([z.int().positive(), z.int().positive(), z.int().positive()]),
    classes: z.array(z.string()).min(2),
    splits: z.strictObject({ train: splitSchema.optional(), test: splitSchema }),
    files: z.array(dataFileSchema).min(1),
    licence: z.string().min(1),
    authors: z.array(z.string()).min(1),
    paper: z.string().optional(),
    homepage: z.url(),
  })
  .check((context) => {
    const { files, splits } = context.value
    const known = new Set(files.map((file) => file.path))
    for (const [name, split] of Object.entries(splits))
      for (const path of [...(split?.images ?? []), ...(split?.labels ?? [])])
        if (!known.has(path))
          context.issues.push({
            code: 'custom',
            message: `split ${name} names ${path}, which is not among the files`,
            input: path,
          })
  })

export type DatasetManifest = z.infer<typeof datasetManifestSchema>
export type DataFile = DatasetManifest['files'][number]
export type Split = keyof DatasetManifest['splits']

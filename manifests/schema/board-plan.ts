import { z } from 'zod'
import { epsSchema, normSchema } from './battery.ts'
import { inputSchema } from './input.ts'
import { modelManifestSchema } from './model.ts'

const plannedModelSchema = z.strictObject({
  /** MODEL as commands take it: a zoo name, a path (from this file's folder), an https URL. */
  model: z.string().min(1),
  /** The data set whose tracks it joins, as the tracks call it; as the manifest says where absent. */
  dataset: z.string().min(1).optional(),
  /** Only the tracks of these batteries: for models that are too slow for others. Default: all tracks of its data set. */
  batteries: z.array(z.string().min(1)).min(1).optional(),
  /** What a bare file's manifest would say. */
  input: inputSchema.optional(),
  output: modelManifestSchema.shape.output.unwrap().optional(),
})

const plannedTrackSchema = z.strictObject({
  /** DATA as commands take it: a data set of the zoo, a folder or an .npz (from this file's folder). */
  dataset: z.string().min(1),
  /** A battery of the zoo, or the path of a .json file (from this file's folder). */
  battery: z.string().min(1),
  norm: normSchema,
  eps: epsSchema,
  /** The published subset: the data set's first so many images. */
  images: z.int().positive(),
  /**
   * `fresh`: drawn at random whenever a model joins the track, and all its models are evaluated with it, so that
   * nobody can train against the targets to come. A number: the same for good, and only new models are evaluated.
   */
  seed: z.union([z.int().nonnegative(), z.literal('fresh')]).default(0),
})

/** What the board evaluates: every model in every track of its data set, unless it names batteries. */
export const boardPlanSchema = z.strictObject({
  $schema: z.string().optional(),
  schemaVersion: z.literal(1),
  tracks: z.array(plannedTrackSchema).min(1),
  models: z.array(plannedModelSchema).min(1),
})

export type BoardPlan = z.infer<typeof boardPlanSchema>
export type PlannedTrack = BoardPlan['tracks'][number]
export type PlannedModel = BoardPlan['models'][number]

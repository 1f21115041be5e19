import { z } from 'zod'

/**
 * How a model wants its images. Applied in this order to an image in [0,1], RGB, NCHW (grey: one channel):
 * `range`, then `channels`, then `mean` and `std` (in the model's units and channel order), then `layout`.
 * It is prepended to the attacked graph, so epsilon always means a fraction of [0,1].
 */
export const inputSchema = z.strictObject({
  /** What 0 and 1 map to: [0,1], [0,255], [-1,1]. */
  range: z.tuple([z.number(), z.number()]).default([0, 1]),
  channels: z.enum(['rgb', 'bgr', 'grey']).default('rgb'),
  mean: z.array(z.number()).optional(),
  std: z.array(z.number().positive()).optional(),
  layout: z.enum(['nchw', 'nhwc', 'flat']).default('nchw'),
  /** Height and width of the images that the model takes; data is resized to it once, before the attack. */
  size: z.tuple([z.int().positive(), z.int().positive()]).optional(),
  resize: z.enum(['bilinear', 'bicubic', 'nearest']).default('bicubic'),
  /** The model's class is the data set's label plus this. */
  labelOffset: z.int().default(0),
})

export type InputDescription = z.infer<typeof inputSchema>

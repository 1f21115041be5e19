import { z } from 'zod'
import { attackSchema, batterySchema, normSchema } from '../../manifests/schema/battery.ts'
import { inputSchema } from '../../manifests/schema/input.ts'
import { sha256Schema } from '../../manifests/schema/model.ts'
import { digestOf } from './canonical.ts'

const count = z.int().positive()
const outputKindSchema = z.enum(['auto', 'logits', 'log-probabilities', 'probabilities'])

const modelSchema = z.strictObject({
  sha256: sha256Schema,
  /** Of the files of external data, where the model has any. */
  externalData: sha256Schema.optional(),
  input: inputSchema,
  outputKind: outputKindSchema,
})

/** Everything that decides outcomes. Its digest names the plan; two shards with equal digests belong together. */
export const protocolSchema = z.strictObject({
  model: modelSchema.extend({ name: z.string() }),
  dataset: z.strictObject({ name: z.string(), sha256: z.string(), size: count }),
  /** The first so many examples of the data set. */
  examples: count,
  battery: batterySchema,
  /** The battery's attacks that this norm and this model allow, in order. */
  attacks: z.array(attackSchema),
  classes: z.int().min(2),
  skipped: z.array(z.strictObject({ name: z.string(), reason: z.string() })),
  threat: z.strictObject({ norm: normSchema, eps: z.number().positive().nullable(), targeted: z.boolean() }),
  /** The logarithm of the model's probabilities is attacked, for it has no final Softmax that could be left out. */
  logarithm: z.boolean().optional(),
  gradients: z.boolean(),
  gradientsReason: z.string().optional(),
  /** The models that transfer attacks take their gradients from, by how the battery calls them. */
  sources: z.record(z.string(), modelSchema),
  seed: z.int().nonnegative(),
  /** Examples in a block: a block's attacks run one after the other, blocks side by side. */
  block: count,
  /** Most images in one call of the model. */
  batch: count,
  /** Threads inside one session. */
  threads: count,
  provider: z.enum(['cpu', 'cuda', 'webgpu']),
  software: z.record(z.string(), z.string()),
})

/** How this machine carries the protocol out: where the files are, how many processes. None of it changes an outcome. */
export const planSchema = z.strictObject({
  schemaVersion: z.literal(1),
  digest: sha256Schema,
  protocol: protocolSchema,
  model: z.strictObject({ path: z.string() }),
  data: z.string(),
  sourcePaths: z.record(z.string(), z.string()),
  jobs: count,
  /** Images per second that each tried division of the cores reached, where it was measured. */
  measured: z.array(z.strictObject({ jobs: count, threads: count, imagesPerSecond: z.number() })),
  shard: z.strictObject({ index: count, count }).nullable(),
})

export type Protocol = z.infer<typeof protocolSchema>
export type Plan = z.infer<typeof planSchema>

export const protocolDigest = (protocol: Protocol): string => digestOf(protocol)

/** Indices of the examples in each block that this plan's shard is to do. */
export function blocksOf({ protocol, shard }: Pick<Plan, 'protocol' | 'shard'>): number[][] {
  const { examples, block } = protocol
  const blocks = Array.from({ length: Math.ceil(examples / block) }, (_, n) =>
    Array.from({ length: Math.min(block, examples - n * block) }, (_, i) => n * block + i),
  )
  return shard ? blocks.filter((_, n) => n % shard.count === shard.index - 1) : blocks
}

import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { packageRoot } from '../../manifests/package.ts'
import { batterySchema } from '../../manifests/schema/battery.ts'
import { boardPlanSchema } from '../../manifests/schema/board-plan.ts'
import { datasetManifestSchema } from '../../manifests/schema/dataset.ts'
import {
  boardSchema,
  reportedSchema,
  submissionSchema,
  trackSchema,
} from '../../manifests/schema/leaderboard.ts'
import { modelManifestSchema } from '../../manifests/schema/model.ts'
import { recipeSchema } from '../../manifests/schema/recipe.ts'
import { examplesSchema, resultSchema } from '../../manifests/schema/result.ts'
import { trustPolicySchema } from '../../manifests/schema/trust.ts'

/** What is published as JSON Schema, for other languages and for editors. `npx vitest run -u` writes the files anew. */
const PUBLISHED: Readonly<Record<string, z.ZodType>> = {
  'board-plan': boardPlanSchema,
  'leaderboard-board': boardSchema,
  'leaderboard-track': trackSchema,
  reported: reportedSchema,
  submission: submissionSchema,
  result: resultSchema,
  examples: examplesSchema,
  battery: batterySchema,
  model: modelManifestSchema,
  recipe: recipeSchema,
  dataset: datasetManifestSchema,
  'trust-policy': trustPolicySchema,
}

describe('the published JSON Schemas', () => {
  it.each(Object.entries(PUBLISHED))('%s is what the sources say, and valid', async (name, schema) => {
    const document = z.toJSONSchema(schema, { io: 'input' })
    expect(() => new Ajv2020({ strict: true, validateFormats: false }).compile(document)).not.toThrow()
    await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot(
      join(packageRoot, 'manifests/schema/json', `${name}.json`),
    )
  })
})

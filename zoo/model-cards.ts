import type { ModelCard } from '../evaluator/leaderboard/tracks.ts'
import { ZooError } from '../manifests/error.ts'
import { nameSchema } from '../manifests/schema/model.ts'
import type { Client } from './registry/client.ts'
import { findModel, type Published, signedModel } from './registry/pull.ts'
import { parseReference } from './registry/reference.ts'
import { signatureOf } from './registry/trust/check.ts'
import { readPolicy, trustFor } from './registry/trust/policy.ts'

/**
 * Cards of evaluated models that a registry has by the same name and with the same file, by the file's sha256.
 * Bare files have none, and a name whose file is another one is another model.
 */
export async function modelCards(
  client: Client,
  models: Iterable<{ readonly name: string; readonly sha256: string }>,
): Promise<Map<string, ModelCard>> {
  const cards = new Map<string, ModelCard>()
  for (const { name, sha256 } of models) {
    if (cards.has(sha256) || !nameSchema.safeParse(name).success) continue
    const published = await findModel(client, parseReference(name)).catch((error) => {
      if (error instanceof ZooError && error.code === 'not-found') return undefined
      throw error
    })
    if (!published || published.manifest.files[0]!.sha256 !== sha256) continue
    const signer = await signerOf(client, published)
    cards.set(sha256, { manifest: published.manifest, ...(signer !== undefined && { signer }) })
  }
  return cards
}

/** The trusted signer, if there is one: anyone can sign, so other signatures say nothing. */
async function signerOf(client: Client, published: Published): Promise<string | undefined> {
  const trust = trustFor(readPolicy(client.settings), published.manifest.name)
  const signature = await signatureOf(published.registry, signedModel(published), trust)
  return signature.state === 'trusted' ? signature.signer : undefined
}

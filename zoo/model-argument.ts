import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ZooError } from '../manifests/error.ts'
import type { ModelManifest } from '../manifests/schema/model.ts'
import type { Client } from './registry/client.ts'

export interface ModelAtHand {
  readonly name: string
  readonly path: string
  readonly sha256: string
  readonly manifest?: ModelManifest
}

/** MODEL as commands take it, on this machine. */
export async function modelArgument(_client: Client, spec: string): Promise<ModelAtHand> {
  if (!existsSync(spec)) throw new ZooError('not-found', `there is no model ${spec}`)
  const hash = createHash('sha256')
  await pipeline(createReadStream(spec), hash)
  return { name: basename(spec), path: spec, sha256: hash.digest('hex') }
}

import { basename } from 'node:path'
import type { Client } from './registry/client.ts'
import { type ResolvedModel, resolveModel } from './registry/resolve.ts'

export interface ModelAtHand extends ResolvedModel {
  /** What results call it: the manifest's name, else the file's. */
  readonly name: string
}

/** MODEL as commands take it, on this machine. */
export async function modelArgument(client: Client, spec: string): Promise<ModelAtHand> {
  const model = await resolveModel(spec, client)
  return { ...model, name: model.manifest?.name ?? basename(model.path) }
}

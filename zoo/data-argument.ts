import { existsSync } from 'node:fs'
import { datasetManifest } from '../manifests/datasets/read.ts'
import type { Client } from './registry/client.ts'
import { pullData } from './registry/data.ts'

/** DATA as commands take it, with everything on this machine: a known data set's name becomes the folder where it lies. */
export async function dataArgument(client: Client, spec: string): Promise<string> {
  const [name = '', split] = spec.split(':')
  if (existsSync(spec) || datasetManifest(name) === undefined) return spec
  const { folder } = await pullData(client, name)
  return split === undefined ? folder : `${folder}:${split}`
}

import { join } from 'node:path'
import type { DataSet } from '../../converters/data/dataset.ts'
import { type OpenOptions, openData as openLocalData } from '../../converters/data/open.ts'
import { datasetManifest, datasetNames } from '../../manifests/datasets/read.ts'
import { ZooError } from '../../manifests/error.ts'
import type { DatasetManifest } from '../../manifests/schema/dataset.ts'
import type { Client } from './client.ts'
import { fetchFiles } from './sources/fetch.ts'
import { putBlob } from './store/blobs.ts'
import { sha256Of } from './store/hash.ts'
import { isWhole, materialise } from './store/materialise.ts'

export interface PulledData {
  readonly folder: string
  readonly manifest: DatasetManifest
  /** Digest of the manifest, which names the digest of every file. */
  readonly sha256: string
  /** Whether everything was there already. */
  readonly cached: boolean
}

/**
 * A data set's files in the cache, verified: fetched where missing or damaged. The folder describes itself
 * (`dataset.json`), so any process can open it by path.
 *
 * @throws ZooError `not-found` for a name the zoo doesn't know, and what fetching throws
 */
export async function pullData(client: Client, name: string): Promise<PulledData> {
  const manifest = datasetManifest(name)
  if (manifest === undefined)
    throw new ZooError('not-found', `the zoo knows no data set named ${name}`, {
      hint: `it knows ${datasetNames().join(', ')}; a folder with labels.csv or an .npz file works too`,
    })
  const { folder, sha256, text } = dataPlace(client, manifest)
  if (await isWhole(folder, manifest.files)) return { folder, manifest, sha256, cached: true }
  const { cache, linkMode } = client.settings
  const blobs = await fetchFiles(client, manifest.files, `pull ${name}`)
  const card = { path: 'dataset.json', size: text.length, sha256, from: await putBlob(cache, text, sha256) }
  const files = manifest.files.map((file, i) => ({ ...file, from: blobs[i]! }))
  await materialise(cache, folder, [card, ...files], linkMode)
  return { folder, manifest, sha256, cached: false }
}

/** Where a data set lies or would lie; content decides the place, so a changed manifest never meets old files. */
export function dataPlace(
  client: Client,
  manifest: DatasetManifest,
): { folder: string; sha256: string; text: Buffer } {
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
  const sha256 = sha256Of(text)
  return { folder: join(client.settings.cache, 'data', manifest.name, sha256.slice(0, 16)), sha256, text }
}

/**
 * Opens DATA as commands take it: a data set's name (`mnist`, `mnist:train`), pulled where it is missing, a folder of
 * images with labels.csv, or an .npz file.
 */
export const openData = (client: Client, spec: string, options: OpenOptions = {}): Promise<DataSet> =>
  openLocalData(spec, { ...options, locate: async (name) => (await pullData(client, name)).folder })

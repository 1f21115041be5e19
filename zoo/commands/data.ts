import type { Command } from 'commander'
import { datasetManifest, datasetNames } from '../../manifests/datasets/read.ts'
import type { DatasetManifest } from '../../manifests/schema/dataset.ts'
import { io, zooCommand } from '../output.ts'
import type { Client } from '../registry/client.ts'
import { dataPlace, pullData } from '../registry/data.ts'
import { isWhole } from '../registry/store/materialise.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'

export function command(): Command {
  return zooCommand('data', 'Get data sets, verified, from their official source or a mirror', [
    'zoo data list',
    'zoo data pull mnist',
  ])
    .addCommand(pullCommand())
    .addCommand(listCommand())
}

function pullCommand(): Command {
  const pull = zooCommand('pull', 'Download data sets into the cache and print where they are', [
    'zoo data pull mnist',
    'zoo data pull cifar10 --mirror https://mirror.example/zoo',
  ]).argument('<names...>', 'data sets; zoo data list names them')
  return transferOptions(pull).action(async (names: string[], options: TransferOptions) => {
    const out = io(options)
    const client = clientFor(options, out)
    const pulled: { name: string; path: string; sha256: string; cached: boolean; bytes: number }[] = []
    for (const name of names) {
      const { folder, sha256, cached, manifest } = await pullData(client, name)
      pulled.push({ name, path: folder, sha256, cached, bytes: bytesOf(manifest) })
    }
    out.answer(pulled.length === 1 ? pulled[0] : pulled, () => pulled.map(({ path }) => path).join('\n'))
  })
}

function listCommand(): Command {
  return zooCommand('list', 'The data sets that the zoo knows, and which of them are here', [
    'zoo data list --json',
  ]).action(async (options: TransferOptions) => {
    const out = io(options)
    const client = clientFor(options, out)
    const rows = await Promise.all(datasetNames().map((name) => describe(client, datasetManifest(name)!)))
    out.answer(rows, () => rows.map(line).join('\n'))
  })
}

interface Row {
  readonly name: string
  readonly description: string
  readonly bytes: number
  /** The folder, or null where the data set isn't here. */
  readonly path: string | null
}

async function describe(client: Client, manifest: DatasetManifest) {
  const { name, title, description, shape, classes, splits, licence, homepage } = manifest
  const { folder, sha256 } = dataPlace(client, manifest)
  const path = (await isWhole(folder, manifest.files)) ? folder : null
  const examples = { train: splits.train?.examples ?? 0, test: splits.test.examples }
  return {
    ...{ name, title, description, shape, classes: classes.length, examples },
    ...{ bytes: bytesOf(manifest), licence, homepage, sha256, path },
  }
}

const line = ({ name, bytes, path, description }: Row): string =>
  [
    name.padEnd(14),
    `${(bytes / 1e6).toFixed(0).padStart(4)} MB`,
    path === null ? 'not here yet' : 'here        ',
    description,
  ].join('  ')

const bytesOf = ({ files }: DatasetManifest): number => files.reduce((sum, { size }) => sum + size, 0)

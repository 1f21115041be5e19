import type { Command } from 'commander'
import { ZooError } from '../../manifests/error.ts'
import { io, zooCommand } from '../output.ts'
import type { Client } from '../registry/client.ts'
import { openRegistry, registries } from '../registry/endpoints.ts'
import { findModel } from '../registry/pull.ts'
import { parseModelSpec } from '../registry/reference.ts'
import { resolveModel } from '../registry/resolve.ts'
import { isWhole } from '../registry/store/materialise.ts'
import {
  clientFor,
  endpointOption,
  type TransferOptions,
  transferOptions,
  verifyOption,
} from '../transfer-options.ts'

interface PullOptions extends TransferOptions {
  readonly dryRun?: boolean
}

export function command(): Command {
  const pull = zooCommand('pull', 'Get a model, verified to the byte, and print where it is', [
    'zoo pull resnet638-advbn',
    'zoo pull resnet638-advbn@1.0.0 --offline',
    'zoo pull https://models.example/net.onnx#sha256=3b1f...',
    'zoo pull oci://registry.example/zoo/resnet638-advbn',
  ])
    .argument('<model>', 'a name with an optional @tag or @sha256:..., a source, or oci://HOST/PREFIX/NAME')
    .option('--dry-run', 'say what would be fetched, and fetch the manifest alone')
  return verifyOption(endpointOption(transferOptions(pull))).action(
    async (model: string, options: PullOptions) => {
      const out = io(options)
      const client = clientFor(options, out)
      if (options.dryRun) {
        const plan = await planned(client, model)
        out.answer(plan, ({ files, folder }) => [...files.map(line), folder].join('\n'))
        return
      }
      const { path, sha256, manifest, signature } = await resolveModel(model, client)
      const { name, version } = manifest ?? { name: null, version: null }
      out.answer({ path, sha256, name, version, signature }, () => path)
    },
  )
}

async function planned(client: Client, model: string) {
  const spec = parseModelSpec(model)
  if (spec.kind !== 'name' && spec.kind !== 'oci')
    throw new ZooError('usage', '--dry-run is for models that were published under a name')
  const places = spec.kind === 'oci' ? [openRegistry(client, spec.endpoint)] : registries(client)
  const { manifest, card, folder, registry, descriptor } = await findModel(client, spec.reference, places)
  const here = await isWhole(folder, [card, ...manifest.files])
  return {
    ...{
      name: manifest.name,
      version: manifest.version,
      digest: descriptor.digest,
      registry: registry.place,
    },
    ...{ folder, here, files: manifest.files },
  }
}

const line = ({ path, size }: { path: string; size: number }): string =>
  `${(size / 1e6).toFixed(1).padStart(9)} MB  ${path}`

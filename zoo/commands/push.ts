import type { Command } from 'commander'
import { io, zooCommand } from '../output.ts'
import { openRegistry } from '../registry/endpoints.ts'
import { pushModel } from '../registry/push.ts'
import { readPrivateKey } from '../registry/trust/key.ts'
import { clientFor, endpointOption, type TransferOptions } from '../transfer-options.ts'

interface PushOptions extends TransferOptions {
  readonly tag?: string[]
  readonly force?: boolean
  readonly key?: string
}

export function command(): Command {
  const push = zooCommand('push', "Publish a model: into the zoo's local registry, or to an endpoint", [
    'zoo push runs/mnist-advbn/export',
    'zoo push model.onnx --endpoint registry.example/zoo --tag stable',
  ])
    .argument(
      '<model>',
      'a folder with manifest.json, a manifest, or an .onnx file with a manifest beside it',
    )
    .option('--tag <tag...>', "tags beside the manifest's version and latest")
    .option('--key <file>', 'sign it with this private key (PEM; ZOO_KEY_PASSWORD opens an encrypted one)')
    .option('--force', 'replace a published version that has other content')
  return endpointOption(push).action(async (model: string, options: PushOptions) => {
    const out = io(options)
    const client = clientFor(options, out)
    const { endpoint } = client.settings
    const pushed = await pushModel(client, model, {
      ...(endpoint === undefined ? {} : { registry: openRegistry(client, endpoint) }),
      tags: options.tag ?? [],
      force: options.force === true,
      ...(options.key === undefined ? {} : { key: readPrivateKey(options.key) }),
    })
    out.answer(pushed, () => `${pushed.name}@${pushed.version}  ${pushed.digest}`)
  })
}

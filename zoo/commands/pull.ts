import type { Command } from 'commander'
import { io, zooCommand } from '../output.ts'
import { resolveModel } from '../registry/resolve.ts'
import { clientFor, endpointOption, type TransferOptions, transferOptions } from '../transfer-options.ts'

export function command(): Command {
  const pull = zooCommand('pull', 'Get a model, verified to the byte, and print where it is', [
    'zoo pull resnet638-advbn',
    'zoo pull resnet638-advbn@1.0.0 --offline',
    'zoo pull https://models.example/net.onnx#sha256=3b1f...',
    'zoo pull oci://registry.example/zoo/resnet638-advbn',
  ]).argument('<model>', 'a name with an optional @tag or @sha256:..., a source, or oci://HOST/PREFIX/NAME')
  return endpointOption(transferOptions(pull)).action(async (model: string, options: TransferOptions) => {
    const out = io(options)
    const { path, sha256, manifest } = await resolveModel(model, clientFor(options, out))
    const { name, version } = manifest ?? { name: null, version: null }
    out.answer({ path, sha256, name, version }, () => path)
  })
}

import type { Command } from 'commander'
import { ZooError } from '../../manifests/error.ts'
import { io, zooCommand } from '../output.ts'
import { openRegistry, registries } from '../registry/endpoints.ts'
import { parseModelSpec } from '../registry/reference.ts'
import { readPublicKey } from '../registry/trust/key.ts'
import { type Verified, verifyModel } from '../registry/verify.ts'
import {
  clientFor,
  endpointOption,
  type TransferOptions,
  transferOptions,
  verifyOption,
} from '../transfer-options.ts'
import { signatureText } from './info.ts'

interface VerifyOptions extends TransferOptions {
  readonly deep?: boolean
  readonly key?: string[]
}

export function command(): Command {
  const verify = zooCommand(
    'verify',
    'Compare a pulled model with what was published, and look at its signature',
    ['zoo verify resnet638-advbn --deep', 'zoo verify resnet638-advbn --key authors.pub'],
  )
    .argument('<model>', 'a name with an optional @tag or @sha256:..., or oci://HOST/PREFIX/NAME')
    .option('--deep', 'read every byte, not sizes alone')
    .option('--key <file...>', 'public keys, one of which must have signed the model')
  return verifyOption(endpointOption(transferOptions(verify))).action(
    async (model: string, options: VerifyOptions) => {
      const out = io(options)
      const client = clientFor(options, out)
      const spec = parseModelSpec(model)
      if (spec.kind === 'path' || spec.kind === 'source')
        throw new ZooError('usage', `${model} is not a published model`, {
          hint: 'give the name that it was pulled by',
        })
      const places = spec.kind === 'oci' ? [openRegistry(client, spec.endpoint)] : registries(client)
      const keys = (options.key ?? []).map(readPublicKey)
      const verified = await verifyModel(client, spec.reference, {
        deep: options.deep === true,
        keys,
        places,
      })
      out.answer(verified, text)
      judge(verified, keys.length > 0 || options.verify === 'require')
    },
  )
}

function text({ name, version, folder, missing, altered, extra, signature }: Verified): string {
  const lines = [`${name} ${version}  ${folder}`]
  for (const path of missing) lines.push(`missing  ${path}`)
  for (const path of altered) lines.push(`altered  ${path}`)
  for (const path of extra) lines.push(`extra    ${path}`)
  lines.push(`signature ${signatureText(signature)}`)
  return lines.join('\n')
}

/** Extra files alone harm nothing; the rest is a failure. */
function judge({ name, missing, altered, signature }: Verified, mustBeSigned: boolean): void {
  if (missing.length + altered.length > 0)
    throw new ZooError('integrity', `${name}: ${missing.length} files missing, ${altered.length} altered`, {
      hint: `zoo pull ${name} repairs it`,
    })
  if (mustBeSigned && signature.state !== 'trusted')
    throw new ZooError('integrity', `${name} is signed by nobody who is trusted for it`)
}

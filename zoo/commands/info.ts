import type { Command } from 'commander'
import { ZooError } from '../../manifests/error.ts'
import type { ModelManifest } from '../../manifests/schema/model.ts'
import { io, zooCommand } from '../output.ts'
import type { Client } from '../registry/client.ts'
import { openRegistry, registries } from '../registry/endpoints.ts'
import { findModel, signedModel } from '../registry/pull.ts'
import { parseModelSpec } from '../registry/reference.ts'
import { resolveModel } from '../registry/resolve.ts'
import { type SignatureState, signatureOf } from '../registry/trust/check.ts'
import { readPolicy, trustFor } from '../registry/trust/policy.ts'
import { clientFor, endpointOption, type TransferOptions, transferOptions } from '../transfer-options.ts'

interface Info {
  readonly manifest: ModelManifest
  readonly bytes: number
  /** What only a published model has. */
  readonly registry?: string
  readonly digest?: string
  readonly signature?: SignatureState
}

export function command(): Command {
  const info = zooCommand('info', "A model's card: threat model, results, size, who signed it", [
    'zoo info resnet638-advbn',
    'zoo info ./runs/mnist-advbn/export --json',
  ]).argument('<model>', 'a name, a folder with a manifest, or oci://HOST/PREFIX/NAME')
  return endpointOption(transferOptions(info)).action(async (model: string, options: TransferOptions) => {
    const out = io(options)
    out.answer(await describe(clientFor(options, out), model), card)
  })
}

async function describe(client: Client, text: string): Promise<Info> {
  const spec = parseModelSpec(text)
  if (spec.kind === 'path' || spec.kind === 'source') {
    const { manifest } = await resolveModel(text, client)
    if (manifest !== undefined) return { manifest, bytes: bytesOf(manifest) }
    throw new ZooError('not-found', `${text} has no manifest`, {
      hint: 'zoo lint MODEL.onnx says what the graph itself tells, and writes a manifest to start from',
    })
  }
  const places = spec.kind === 'oci' ? [openRegistry(client, spec.endpoint)] : registries(client)
  const published = await findModel(client, spec.reference, places)
  const { manifest, registry, descriptor } = published
  const trust = trustFor(readPolicy(client.settings), manifest.name)
  return {
    ...{ manifest, bytes: bytesOf(manifest), registry: registry.place, digest: descriptor.digest },
    signature: await signatureOf(registry, signedModel(published), trust),
  }
}

const bytesOf = ({ files }: ModelManifest): number => files.reduce((sum, { size }) => sum + size, 0)

function card({ manifest, bytes, registry, digest, signature }: Info): string {
  const { threat, input, results, recipe } = manifest
  const rows: [string, string | undefined][] = [
    ['model', `${manifest.name} ${manifest.version}`],
    ['', manifest.description],
    [
      'architecture',
      `${manifest.architecture}, ${manifest.parameters} parameters, ${(bytes / 1e6).toFixed(1)} MB`,
    ],
    ['opset', manifest.opset?.toString()],
    ['classes', `${manifest.classes.length}, of ${manifest.dataset}`],
    [
      'input',
      `${input.layout}, ${input.channels}, 0..1 as ${input.range.join('..')}${input.size ? `, ${input.size.join('x')}` : ''}`,
    ],
    ['normalisation', manifest.normalisation && `${manifest.normalisation}, branch ${manifest.branch}`],
    [
      'trained for',
      threat ? `${threat.norm}, eps ${threat.eps}${threat.targeted ? ', targeted' : ''}` : 'no threat',
    ],
    ['recipe', recipe && `${recipe.name} (${recipe.sha256.slice(0, 12)})`],
    ...results.map((result): [string, string] => [
      'result',
      `${result.battery.id} ${result.battery.version}, ${result.threat.norm} ${result.threat.eps}, ` +
        `${result.dataset.examples} examples: clean ${percent(result.clean.accuracy)}, robust ${percent(result.robust.accuracy)}`,
    ]),
    ['licence', manifest.licence],
    ['authors', manifest.authors.join(', ') || undefined],
    ['paper', manifest.paper],
    ['registry', registry],
    ['digest', digest],
    ['signature', signature && signatureText(signature)],
  ]
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => `${label.padEnd(14)}${value}`)
    .join('\n')
}

const percent = (fraction: number): string => `${(fraction * 100).toFixed(1)} %`

export const signatureText = (signature: SignatureState): string =>
  'signer' in signature
    ? `by ${signature.signer}${signature.state === 'unknown' ? ', who is not among the trusted signers' : ''}`
    : signature.state

import type { KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ZooError } from '../../../manifests/error.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import type { Signer, VerifyMode } from '../../../manifests/schema/trust.ts'
import type { Client } from '../client.ts'
import {
  type Descriptor,
  IMAGE_MANIFEST,
  type ImageManifest,
  imageManifestSchema,
} from '../oci/descriptor.ts'
import { describe } from '../oci/model-pack.ts'
import type { Registry } from '../oci/registry.ts'
import { BUNDLE, type Bundle, isSignedBy, parseBundle, signStatement } from './bundle.ts'
import { keyHint, parsePublicKey, toPem } from './key.ts'
import { policyPath, readPolicy, type Trust, trustFor } from './policy.ts'
import { checkStatement, makeStatement, type SignedFile } from './statement.ts'

/** What is known of who signed a model. */
export type SignatureState =
  | { readonly state: 'trusted'; readonly signer: string }
  /** Signed, but by nobody who is trusted for this name. */
  | { readonly state: 'unknown'; readonly signer: string }
  | { readonly state: 'unsigned' }
  | { readonly state: 'unchecked' }

export interface SignedModel {
  readonly name: string
  readonly digest: string
  /** Every file of the model's folder, the manifest included. */
  readonly files: readonly SignedFile[]
}

const EMPTY = Buffer.from('{}')
const EMPTY_CONFIG = describe('application/vnd.oci.empty.v1+json', EMPTY)

/**
 * Signs a published model and stores the signature beside it, as an artifact about it. A signature by this key that is
 * there already and good will do.
 */
export async function signModel(
  registry: Registry,
  model: SignedModel,
  subject: Descriptor,
  key: KeyObject,
): Promise<void> {
  const signers = new Map<string, Signer>([['own', { key: toPem(key) }]])
  const known = await signatureOf(registry, model, { signers }).catch(() => undefined)
  if (known?.state === 'trusted') return
  const bundle = signStatement(makeStatement(model.name, model.files), key)
  const layer = describe(BUNDLE, bundle)
  const { mediaType, digest, size } = subject
  const image: ImageManifest = {
    ...{
      schemaVersion: 2,
      mediaType: IMAGE_MANIFEST,
      artifactType: BUNDLE,
      config: EMPTY_CONFIG,
      layers: [layer],
    },
    subject: { mediaType, digest, size },
  }
  const bytes = Buffer.from(JSON.stringify(image))
  await registry.putBlob(model.name, EMPTY_CONFIG, EMPTY)
  await registry.putBlob(model.name, layer, bundle)
  await registry.putManifest(
    model.name,
    { ...describe(IMAGE_MANIFEST, bytes), artifactType: BUNDLE },
    bytes,
    [],
  )
}

/**
 * Who signed a model, by the registry's signatures, as far as the signers are trusted or their keys are given.
 *
 * @throws ZooError `integrity` where a trusted signer's signature is wrong or for other files
 */
export async function signatureOf(
  registry: Registry,
  model: SignedModel,
  trust: Pick<Trust, 'signers'>,
  keys: readonly KeyObject[] = [],
): Promise<SignatureState> {
  const known = new Map<string, KnownSigner>([
    ...keys.map((key) => keyed(keyHint(key), key)),
    ...[...trust.signers].flatMap(([name, signer]) =>
      'key' in signer ? [keyed(name, parsePublicKey(signer.key))] : [],
    ),
  ])
  let state: SignatureState = { state: 'unsigned' }
  let fault: unknown
  for (const bytes of await bundlesOf(registry, model)) {
    try {
      const found = judge(parseBundle(bytes), known, model)
      if (found.state === 'trusted') return found
      state = found
    } catch (error) {
      fault ??= error // Whoever may write to the registry can add a bad signature; a good one still counts.
    }
  }
  if (fault !== undefined) throw fault
  return state
}

interface KnownSigner {
  readonly name: string
  readonly key: KeyObject
}

const keyed = (name: string, key: KeyObject): [string, KnownSigner] => [keyHint(key), { name, key }]

/** @throws ZooError `integrity` where it is in a known signer's name and wrong, or for other files */
function judge(bundle: Bundle, known: ReadonlyMap<string, KnownSigner>, model: SignedModel): SignatureState {
  // Keyless signatures need Sigstore's trust root to be checked; until then their signers are nobody we know.
  if (bundle.material.kind === 'certificate') return { state: 'unknown', signer: 'a certificate' }
  const { hint } = bundle.material
  const signer = known.get(hint)
  if (signer === undefined) return { state: 'unknown', signer: `the key ${hint.slice(0, 16)}` }
  if (!isSignedBy(bundle, signer.key))
    throw new ZooError('integrity', `a signature of ${model.name} in the name of ${signer.name} is forged`)
  checkStatement(bundle.payload, model.files)
  return { state: 'trusted', signer: signer.name }
}

async function bundlesOf(registry: Registry, { name, digest }: SignedModel): Promise<Buffer[]> {
  const bundles: Buffer[] = []
  for (const descriptor of await registry.referrers(name, digest)) {
    if (descriptor.artifactType !== undefined && descriptor.artifactType !== BUNDLE) continue
    const bytes = await registry.manifest(name, descriptor)
    const image = parseAs(imageManifestSchema, JSON.parse(bytes.toString()), descriptor.digest)
    const layer = image.layers.find(({ mediaType }) => mediaType === BUNDLE)
    if (layer !== undefined) bundles.push(await readFile(await registry.blob(name, layer)))
  }
  return bundles
}

/**
 * Holds a model against the policy before it is used.
 *
 * @param isOwn whether it lies where only the user or the zoo itself publishes: nothing is said there of a signature
 * that is missing, unless one is required
 * @throws ZooError `integrity` where a signature is required and no trusted signer made one, or where one is wrong
 */
export async function checkTrust(
  client: Client,
  registry: Registry,
  model: SignedModel,
  isOwn: boolean,
): Promise<SignatureState> {
  const trust = trustFor(readPolicy(client.settings), model.name)
  const mode: VerifyMode = client.settings.verify ?? trust.verify ?? 'warn'
  if (mode === 'off') return { state: 'unchecked' }
  const found = await signatureOf(registry, model, trust)
  if (found.state === 'trusted' || (mode === 'warn' && isOwn)) return found
  const said =
    found.state === 'unknown'
      ? `${model.name} is signed by ${found.signer}, who is not trusted for it`
      : `${model.name} is not signed`
  const hint = `name the signers whom you trust in ${policyPath(client.settings)}`
  if (mode === 'require') throw new ZooError('integrity', said, { hint })
  client.note(`${said} (${hint})`)
  return found
}

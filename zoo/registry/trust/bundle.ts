import { type KeyObject, sign, verify } from 'node:crypto'
import { z } from 'zod'
import { ZooError } from '../../../manifests/error.ts'
import { hashFor, keyHint } from './key.ts'

export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
const PAYLOAD = 'application/vnd.in-toto+json'

/** A Sigstore bundle around a DSSE envelope; written by others, so taken apart with care. */
const bundleSchema = z.object({
  mediaType: z.string().startsWith('application/vnd.dev.sigstore.bundle'),
  verificationMaterial: z.union([
    z.object({ publicKey: z.object({ hint: z.string().default('') }) }),
    z.object({ certificate: z.object({ rawBytes: z.base64() }) }),
    z.object({ x509CertificateChain: z.object({ certificates: z.array(z.unknown()) }) }),
  ]),
  dsseEnvelope: z.object({
    payload: z.base64(),
    payloadType: z.literal(PAYLOAD),
    signatures: z.array(z.object({ sig: z.base64() })).min(1),
  }),
})

export interface Bundle {
  /** How the signer is to be known: by a key with this hint, or by a certificate (keyless). */
  readonly material: { readonly kind: 'key'; readonly hint: string } | { readonly kind: 'certificate' }
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** Signs a statement with a key: a Sigstore bundle, version 0.3. */
export function signStatement(statement: unknown, key: KeyObject): Buffer {
  const payload = Buffer.from(JSON.stringify(statement))
  const bundle = {
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: keyHint(key) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: PAYLOAD,
      signatures: [
        { sig: sign(hashFor(key), preAuthentication(payload), key).toString('base64'), keyid: '' },
      ],
    },
  }
  return Buffer.from(JSON.stringify(bundle))
}

/** @throws ZooError `integrity` */
export function parseBundle(bytes: Uint8Array): Bundle {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    // Said below.
  }
  const parsed = bundleSchema.safeParse(document)
  if (!parsed.success)
    throw new ZooError('integrity', 'the signature is not a Sigstore bundle with a statement')
  const { verificationMaterial, dsseEnvelope } = parsed.data
  return {
    material:
      'publicKey' in verificationMaterial
        ? { kind: 'key', hint: verificationMaterial.publicKey.hint }
        : { kind: 'certificate' },
    payload: Buffer.from(dsseEnvelope.payload, 'base64'),
    signature: Buffer.from(dsseEnvelope.signatures[0]!.sig, 'base64'),
  }
}

/** Whether this key made the signature. */
export const isSignedBy = ({ payload, signature }: Bundle, key: KeyObject): boolean =>
  verify(hashFor(key), preAuthentication(payload), key, signature)

/** What is signed: the payload bound to its type (DSSE 1.0, pre-authentication encoding). */
const preAuthentication = (payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD.length} ${PAYLOAD} ${payload.byteLength} `), payload])

import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ZooError } from '../../../manifests/error.ts'

/** The hash that goes with each curve in Sigstore's formats. */
const HASHES: Readonly<Record<string, string>> = {
  prime256v1: 'sha256',
  secp384r1: 'sha384',
  secp521r1: 'sha512',
}

/** @throws ZooError `usage` for a key on no curve that signatures are made with */
export function hashFor(key: KeyObject): string {
  const hash = HASHES[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (key.asymmetricKeyType === 'ec' && hash !== undefined) return hash
  throw new ZooError('usage', 'the key is not an EC key on P-256, P-384 or P-521', {
    hint: 'openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout -out key.pub',
  })
}

/**
 * Reads a private key in PEM form; an encrypted one is opened with ZOO_KEY_PASSWORD.
 *
 * @throws ZooError `usage`
 */
export function readPrivateKey(path: string): KeyObject {
  const passphrase = process.env.ZOO_KEY_PASSWORD
  const read = (): KeyObject =>
    createPrivateKey({ key: readFileSync(path), ...(passphrase === undefined ? {} : { passphrase }) })
  return usable(read, path, 'a private key (an encrypted one is opened with ZOO_KEY_PASSWORD)')
}

/** @throws ZooError `usage` */
export function readPublicKey(path: string): KeyObject {
  return usable(() => createPublicKey(readFileSync(path)), path, 'a public key')
}

export const parsePublicKey = (pem: string): KeyObject =>
  usable(() => createPublicKey(pem), 'the key', 'a public key')

function usable(read: () => KeyObject, path: string, what: string): KeyObject {
  let key: KeyObject
  try {
    key = read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error
    throw new ZooError('usage', `${path} is not ${what} in PEM form`, { cause: error })
  }
  hashFor(key)
  return key
}

export const toPem = (key: KeyObject): string =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'pem' }).toString()

/** By which a bundle names the key it was made with: the SHA-256 of its PEM form, as OpenSSF model signing has it. */
export const keyHint = (key: KeyObject): string => createHash('sha256').update(toPem(key)).digest('hex')

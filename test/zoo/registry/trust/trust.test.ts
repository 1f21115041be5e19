import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { trustPolicySchema, type VerifyMode } from '../../../../manifests/schema/trust.ts'
import { LayoutRegistry } from '../../../../zoo/registry/oci/layout.ts'
import { pullModel } from '../../../../zoo/registry/pull.ts'
import { pushModel } from '../../../../zoo/registry/push.ts'
import { hashFile } from '../../../../zoo/registry/store/hash.ts'
import { BUNDLE, isSignedBy, parseBundle, signStatement } from '../../../../zoo/registry/trust/bundle.ts'
import { signModel } from '../../../../zoo/registry/trust/check.ts'
import { readPrivateKey, readPublicKey, toPem } from '../../../../zoo/registry/trust/key.ts'
import { trustFor } from '../../../../zoo/registry/trust/policy.ts'
import { checkStatement, makeStatement } from '../../../../zoo/registry/trust/statement.ts'
import { filesBelow, verifyModel } from '../../../../zoo/registry/verify.ts'
import { makeModel, sha256, temporaryFolder, testClient } from '../help.ts'

const newKey = (namedCurve = 'P-256'): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve })
const ali = newKey()
const eve = newKey()
const files = [
  { path: 'model.onnx', sha256: sha256('weights') },
  { path: 'README.md', sha256: sha256('card') },
]

describe('a signature', () => {
  for (const curve of ['P-256', 'P-384', 'P-521'])
    it(`by a key on ${curve} is known by that key and by no other`, () => {
      const { privateKey, publicKey } = newKey(curve)
      const bundle = parseBundle(signStatement(makeStatement('net', files), privateKey))
      expect(isSignedBy(bundle, publicKey)).toBe(true)
      expect(isSignedBy(bundle, newKey(curve).publicKey)).toBe(false)
      expect(() => checkStatement(bundle.payload, files)).not.toThrow()
    })

  it('is void when a byte of what it says changes', () => {
    const document = JSON.parse(signStatement(makeStatement('net', files), ali.privateKey).toString())
    const payload = Buffer.from(document.dsseEnvelope.payload, 'base64').toString().replace('"net"', '"bet"')
    document.dsseEnvelope.payload = Buffer.from(payload).toString('base64')
    expect(isSignedBy(parseBundle(Buffer.from(JSON.stringify(document))), ali.publicKey)).toBe(false)
  })

  const others: [string, typeof files, RegExp][] = [
    [
      'another file',
      [{ path: 'model.onnx', sha256: sha256('evil') }, files[1]!],
      /is for another model.onnx/,
    ],
    ['a file more', [...files, { path: 'extra', sha256: sha256('') }], /does not cover extra/],
    ['a file less', [files[0]!], /covers files that the model does not have/],
  ]
  for (const [what, changed, message] of others)
    it(`does not fit ${what}`, () => {
      const { payload } = parseBundle(signStatement(makeStatement('net', files), ali.privateKey))
      expect(() => checkStatement(payload, changed)).toThrow(message)
    })

  it('that contradicts itself is refused', () => {
    const statement = makeStatement('net', files) as { subject: { digest: { sha256: string } }[] }
    statement.subject[0]!.digest.sha256 = sha256('')
    expect(() => checkStatement(Buffer.from(JSON.stringify(statement)), files)).toThrow(/contradicts itself/)
  })

  it('of the OpenSSF tool is understood', async () => {
    const folder = join(import.meta.dirname, 'signed-by-model-signing')
    const bundle = parseBundle(readFileSync(join(folder, 'bundle.json')))
    expect(isSignedBy(bundle, readPublicKey(join(folder, 'key.pub')))).toBe(true)
    const paths = await filesBelow(join(folder, 'model'))
    const signed = await Promise.all(
      paths.map(async (path) => ({ path, sha256: (await hashFile(join(folder, 'model', path))).sha256 })),
    )
    expect(signed).toHaveLength(3)
    expect(() => checkStatement(bundle.payload, signed)).not.toThrow()
  })

  for (const [what, text] of [
    ['not JSON', 'nonsense'],
    ['no bundle', '{"mediaType":"text/plain"}'],
  ] as const)
    it(`that is ${what} is refused`, () => {
      expect(() => parseBundle(Buffer.from(text))).toThrow(/not a Sigstore bundle/)
    })
})

describe('a key', () => {
  const write = (text: string | Buffer): string => {
    const path = join(temporaryFolder(), 'key.pem')
    writeFileSync(path, text)
    return path
  }

  it('is opened with the password', () => {
    const pem = ali.privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'sesame',
    })
    const path = write(pem)
    expect(() => readPrivateKey(path)).toThrow(expect.objectContaining({ code: 'usage' }))
    vi.stubEnv('ZOO_KEY_PASSWORD', 'sesame')
    expect(toPem(readPrivateKey(path))).toBe(toPem(ali.publicKey))
    vi.unstubAllEnvs()
  })

  it('of another kind is refused with a hint how to make one', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    expect(() => readPublicKey(write(toPem(publicKey)))).toThrow(
      expect.objectContaining({ code: 'usage', hint: expect.stringContaining('openssl ecparam') }),
    )
  })

  it('that is no key is refused', () => {
    expect(() => readPublicKey(write('hello'))).toThrow(/is not a public key in PEM form/)
  })
})

describe('a policy', () => {
  const signer = { key: toPem(ali.publicKey) }

  it('is the first rule that fits', () => {
    const policy = trustPolicySchema.parse({
      ...{
        schemaVersion: 1,
        signers: { ali: signer, ci: { identity: 'x', issuer: 'https://issuer.example' } },
      },
      rules: [
        { names: 'resnet*-advbn', signers: ['ali'], verify: 'require' },
        { names: 'resnet*', signers: ['ci'] },
      ],
    })
    expect([...trustFor(policy, 'resnet50-advbn').signers.keys()]).toEqual(['ali'])
    expect(trustFor(policy, 'resnet50-advbn').verify).toBe('require')
    expect([...trustFor(policy, 'resnet50').signers.keys()]).toEqual(['ci'])
    expect(trustFor(policy, 'a-resnet').signers.size).toBe(0)
    expect(trustFor(policy, 'vgg').verify).toBeUndefined()
  })

  it('cannot trust a signer whom it does not name', () => {
    const policy = { schemaVersion: 1, signers: {}, rules: [{ names: '*', signers: ['ali'] }] }
    expect(trustPolicySchema.safeParse(policy).error?.message).toContain('who is not among the signers')
  })
})

describe('a model from an endpoint', () => {
  const place = temporaryFolder()
  const registry = new LayoutRegistry(place)
  const reference = (name: string) => ({ name, tag: 'latest', digest: undefined })
  beforeAll(async () => {
    await pushModel(testClient(), makeModel('signed', { seed: 1 }).folder, { registry, key: ali.privateKey })
    await pushModel(testClient(), makeModel('by-eve', { seed: 2 }).folder, { registry, key: eve.privateKey })
    await pushModel(testClient(), makeModel('unsigned', { seed: 3 }).folder, { registry })
    const both = await pushModel(testClient(), makeModel('forged', { seed: 4 }).folder, { registry })
    await forge(both.digest)
  })

  /** A signature with ali's name on it that eve made. */
  async function forge(digest: string): Promise<void> {
    const bundle = JSON.parse(signStatement(makeStatement('forged', files), eve.privateKey).toString())
    bundle.verificationMaterial.publicKey.hint = sha256(toPem(ali.publicKey))
    await attach('forged', digest, Buffer.from(JSON.stringify(bundle)))
  }

  /** Puts bytes where signatures of a model lie. */
  async function attach(name: string, digest: string, bytes: Buffer): Promise<void> {
    const layer = { mediaType: BUNDLE, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const { size } = (await registry.resolve({ name, tag: 'latest', digest: undefined }))!
    const subject = { mediaType, digest, size }
    const artifact = { artifactType: BUNDLE, config: layer, layers: [layer], subject }
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...artifact }))
    await registry.putBlob(name, layer, bytes)
    const about = { mediaType, digest: `sha256:${sha256(manifest)}`, size: manifest.length }
    await registry.putManifest(name, about, manifest, [])
  }

  /** Someone who trusts ali for everything. */
  function truster(verify?: VerifyMode) {
    const client = testClient({ verify })
    mkdirSync(client.settings.config, { recursive: true })
    const policy = {
      ...{ schemaVersion: 1, signers: { ali: { key: toPem(ali.publicKey) } } },
      rules: [{ names: '*', signers: ['ali'] }],
    }
    writeFileSync(join(client.settings.config, 'trust.json'), JSON.stringify(policy))
    return client
  }

  it('by a trusted signer is taken without a word', async () => {
    const client = truster('require')
    const pulled = await pullModel(client, reference('signed'), [registry])
    expect(pulled.signature).toEqual({ state: 'trusted', signer: 'ali' })
    expect(client.notes).toEqual([])
  })

  it('is signed once by a key, however often it is pushed', async () => {
    const { folder } = makeModel('twice', { seed: 5 })
    const signatures = async (key: KeyObject) => {
      const { digest } = await pushModel(testClient(), folder, { registry, key })
      return (await registry.referrers('twice', digest)).length
    }
    expect(await signatures(ali.privateKey)).toBe(1)
    expect(await signatures(ali.privateKey)).toBe(1)
    expect(await signatures(eve.privateKey)).toBe(2)
  })

  it('without a signature, or by somebody else, is taken with a warning', async () => {
    for (const [name, state, said] of [
      ['unsigned', 'unsigned', 'unsigned is not signed'],
      ['by-eve', 'unknown', 'by-eve is signed by the key'],
    ] as const) {
      const client = truster()
      expect((await pullModel(client, reference(name), [registry])).signature.state).toBe(state)
      expect(client.notes[0]).toContain(said)
    }
  })

  it('is not taken where a signature is required, and nothing of it is kept', async () => {
    for (const name of ['unsigned', 'by-eve']) {
      const client = truster('require')
      await expect(pullModel(client, reference(name), [registry])).rejects.toMatchObject({
        ...{ code: 'integrity', hint: expect.stringContaining('trust.json') },
      })
      expect(await filesBelow(join(client.settings.cache, 'models'))).toEqual([])
    }
  })

  it('with a forged signature is not taken, required or not', async () => {
    await expect(pullModel(truster(), reference('forged'), [registry])).rejects.toMatchObject({
      ...{ code: 'integrity', message: expect.stringContaining('forged') },
    })
  })

  it('with a good signature beside the forged one is taken', async () => {
    const descriptor = await registry.resolve(reference('forged'))
    const { manifest, folder } = makeModel('forged', { seed: 4 })
    expect(folder).not.toBe('')
    const found = await pullModel(truster('off'), reference('forged'), [registry])
    const card = await hashFile(join(found.folder, 'manifest.json'))
    const signed = {
      name: 'forged',
      digest: found.digest,
      files: [{ path: 'manifest.json', ...card }, ...manifest.files],
    }
    await signModel(registry, signed, descriptor!, ali.privateKey)
    expect((await pullModel(truster('require'), reference('forged'), [registry])).signature.state).toBe(
      'trusted',
    )
  })

  it('asks for no signature in the registry of one’s own', async () => {
    const client = testClient()
    const own = new LayoutRegistry(client.settings.registry)
    await pushModel(client, makeModel('mine').folder)
    expect((await pullModel(client, reference('mine'), [own])).signature.state).toBe('unsigned')
    expect(client.notes).toEqual([])
  })

  it('is known by a key that is given with the command', async () => {
    const client = testClient()
    const options = { deep: false, places: [registry] }
    const verified = await verifyModel(client, reference('signed'), { ...options, keys: [ali.publicKey] })
    expect(verified.signature.state).toBe('trusted')
    for (const anyone of [client, truster()]) {
      const other = await verifyModel(anyone, reference('signed'), { ...options, keys: [eve.publicKey] })
      expect(other.signature.state).toBe('unknown')
    }
  })

  it('with something unreadable for a signature is not taken, unless a good one lies beside it', async () => {
    const unreadable = Buffer.from('{}')
    const { digest } = await pushModel(testClient(), makeModel('littered').folder, { registry })
    await attach('littered', digest, unreadable)
    await expect(pullModel(truster(), reference('littered'), [registry])).rejects.toMatchObject({
      ...{ code: 'integrity', message: expect.stringContaining('not a Sigstore bundle') },
    })
    const signed = await registry.resolve(reference('signed'))
    await attach('signed', signed!.digest, unreadable)
    const pulled = await pullModel(truster('require'), reference('signed'), [registry])
    expect(pulled.signature.state).toBe('trusted')
  })
})

describe('a model that ships with the zoo', () => {
  const reference = (name: string) => ({ name, tag: 'latest', digest: undefined })
  const shipped = temporaryFolder()
  const policy = (rules: object[], signers = {}) => JSON.stringify({ schemaVersion: 1, signers, rules })
  beforeAll(async () => {
    const registry = new LayoutRegistry(join(shipped, 'oci'))
    await pushModel(testClient(), makeModel('ours', { seed: 1 }).folder, { registry, key: ali.privateKey })
    await pushModel(testClient(), makeModel('new', { seed: 2 }).folder, { registry })
    const signers = { zoo: { key: toPem(ali.publicKey) }, eve: { key: toPem(eve.publicKey) } }
    writeFileSync(join(shipped, 'trust.json'), policy([{ names: '*', signers: ['zoo'] }], signers))
  })

  function client(verify?: VerifyMode, rules?: object[]) {
    const made = testClient({ shipped, verify, offline: true })
    mkdirSync(made.settings.config, { recursive: true })
    if (rules) writeFileSync(join(made.settings.config, 'trust.json'), policy(rules))
    return made
  }

  it('is held against the key that ships beside it, without a word', async () => {
    for (const verify of [undefined, 'require'] as const) {
      const user = client(verify)
      const pulled = await pullModel(user, reference('ours'))
      expect(pulled.signature).toEqual({ state: 'trusted', signer: 'zoo' })
      expect(user.notes).toEqual([])
    }
  })

  it('and is not signed yet is taken, unless a signature is required', async () => {
    const user = client()
    expect((await pullModel(user, reference('new'))).signature).toEqual({ state: 'unsigned' })
    expect(user.notes).toEqual([])
    await expect(pullModel(client('require'), reference('new'))).rejects.toMatchObject({ code: 'integrity' })
  })

  it('is trusted as the user’s own rules say, which may name the zoo’s signers', async () => {
    const rule = { names: 'ours', verify: 'require' }
    const trusted = await pullModel(client(undefined, [{ ...rule, signers: ['zoo'] }]), reference('ours'))
    expect(trusted.signature.state).toBe('trusted')
    await expect(
      pullModel(client(undefined, [{ ...rule, signers: ['eve'] }]), reference('ours')),
    ).rejects.toMatchObject({ code: 'integrity', message: expect.stringContaining('who is not trusted') })
  })

  it.each(['null', '[]', '"text"', '{"schemaVersion":1,"signers":"ali"}', 'not JSON'])(
    'is not pulled under a policy that makes no sense: %s',
    async (text) => {
      const user = client(undefined, [])
      writeFileSync(join(user.settings.config, 'trust.json'), text)
      await expect(pullModel(user, reference('ours'))).rejects.toMatchObject({
        ...{ code: 'invalid-manifest', message: expect.stringContaining('trust.json') },
      })
    },
  )
})

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { IMAGE_MANIFEST } from '../../../../zoo/registry/oci/descriptor.ts'
import { LayoutRegistry } from '../../../../zoo/registry/oci/layout.ts'
import { noise, sha256, temporaryFolder } from '../help.ts'
import { registrySuite } from './registry.suite.ts'

const folder = temporaryFolder()
registrySuite(async () => new LayoutRegistry(folder))

describe('the layout on disk', () => {
  it('is an OCI image layout that names its images NAME:TAG', async () => {
    const place = temporaryFolder()
    const bytes = Buffer.from('{"schemaVersion":2}')
    const descriptor = { mediaType: IMAGE_MANIFEST, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
    await new LayoutRegistry(place).putManifest('net', descriptor, bytes, ['1.0'])
    expect(JSON.parse(readFileSync(join(place, 'oci-layout'), 'utf8'))).toEqual({
      imageLayoutVersion: '1.0.0',
    })
    expect(JSON.parse(readFileSync(join(place, 'index.json'), 'utf8')).manifests).toEqual([
      { ...descriptor, annotations: { 'org.opencontainers.image.ref.name': 'net:1.0' } },
    ])
  })

  it('keeps every entry when many publish at once', async () => {
    const place = temporaryFolder()
    const names = Array.from({ length: 20 }, (_, i) => `net-${i}`)
    await Promise.all(
      names.map((name) => {
        const bytes = Buffer.from(`{"schemaVersion":2,"annotations":{"n":"${name}"}}`)
        const descriptor = {
          mediaType: IMAGE_MANIFEST,
          digest: `sha256:${sha256(bytes)}`,
          size: bytes.length,
        }
        return new LayoutRegistry(place).putManifest(name, descriptor, bytes, ['1.0'])
      }),
    )
    const listed = await new LayoutRegistry(place).list()
    expect(listed.map(({ name }) => name)).toEqual(names.sort())
  })

  it('says that a flipped bit damaged a file', async () => {
    const place = temporaryFolder()
    const registry = new LayoutRegistry(place)
    const bytes = noise(1000)
    const descriptor = { mediaType: 'x', digest: `sha256:${sha256(bytes)}`, size: bytes.length }
    await registry.putBlob('net', descriptor, bytes)
    const path = await registry.blob('net', descriptor)
    chmodSync(path, 0o644)
    bytes[500]! ^= 1
    writeFileSync(path, bytes)
    await expect(registry.blob('net', descriptor)).rejects.toMatchObject({ code: 'integrity' })
  })

  it('says that an index is not JSON', async () => {
    const place = temporaryFolder()
    writeFileSync(join(place, 'index.json'), '{"manifests": [')
    await expect(new LayoutRegistry(place).list()).rejects.toMatchObject({ code: 'invalid-manifest' })
  })
})

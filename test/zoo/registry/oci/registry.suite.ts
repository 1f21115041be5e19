import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../../../zoo/registry/oci/descriptor.ts'
import { IMAGE_MANIFEST } from '../../../../zoo/registry/oci/descriptor.ts'
import type { Registry } from '../../../../zoo/registry/oci/registry.ts'
import { noise, sha256 } from '../help.ts'

const describeBytes = (bytes: Buffer, mediaType = 'application/octet-stream'): Descriptor => ({
  ...{ mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length },
})

/** An artifact with one layer, about `subject` where given. */
function artifact(layer: Buffer, subject?: Descriptor) {
  const config = Buffer.from('{}')
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: IMAGE_MANIFEST,
      artifactType: 'application/vnd.test',
      config: describeBytes(config, 'application/vnd.oci.empty.v1+json'),
      layers: [describeBytes(layer)],
      ...(subject ? { subject } : {}),
    }),
  )
  return { config, layer, bytes, descriptor: describeBytes(bytes, IMAGE_MANIFEST) }
}

async function publish(registry: Registry, name: string, seed: number, tags: string[], subject?: Descriptor) {
  const made = artifact(noise(1000, seed), subject)
  for (const bytes of [made.config, made.layer]) await registry.putBlob(name, describeBytes(bytes), bytes)
  await registry.putManifest(name, made.descriptor, made.bytes, tags)
  return made
}

/** What every registry does. `open` gives the same registry anew, as another command would see it. */
export function registrySuite(open: () => Promise<Registry>): void {
  const reference = (name: string, tag: string) => ({ name, tag, digest: undefined })

  describe('as a registry', () => {
    it('has nothing of a name that nobody published', async () => {
      expect(await (await open()).resolve(reference('nobody', 'latest'))).toBeUndefined()
    })

    it('gives back what was stored, by tag and by digest', async () => {
      const made = await publish(await open(), 'giver', 1, ['1.0', 'latest'])
      const registry = await open()
      for (const wanted of [
        reference('giver', '1.0'),
        reference('giver', 'latest'),
        { name: 'giver', tag: 'latest', digest: made.descriptor.digest },
      ]) {
        const found = await registry.resolve(wanted)
        expect(found?.digest).toBe(made.descriptor.digest)
        expect(await registry.manifest('giver', found!)).toEqual(made.bytes)
      }
      expect(readFileSync(await registry.blob('giver', describeBytes(made.layer)))).toEqual(made.layer)
    })

    it('does not take a digest that belongs to another name', async () => {
      const made = await publish(await open(), 'owner', 2, ['1.0'])
      await publish(await open(), 'other', 3, ['1.0'])
      const found = await (await open()).resolve({ name: 'other', tag: '', digest: made.descriptor.digest })
      expect(found).toBeUndefined()
    })

    it('moves a tag, and keeps the others', async () => {
      const first = await publish(await open(), 'mover', 4, ['1.0', 'latest'])
      const second = await publish(await open(), 'mover', 5, ['2.0', 'latest'])
      const registry = await open()
      expect((await registry.resolve(reference('mover', '1.0')))?.digest).toBe(first.descriptor.digest)
      expect((await registry.resolve(reference('mover', 'latest')))?.digest).toBe(second.descriptor.digest)
    })

    it('skips a blob that it has', async () => {
      const registry = await open()
      const bytes = noise(5000, 6)
      expect(await registry.putBlob('skipper', describeBytes(bytes), bytes)).toBe(true)
      expect(await registry.putBlob('skipper', describeBytes(bytes), bytes)).toBe(false)
    })

    it('refuses bytes that have another digest', async () => {
      const registry = await open()
      const { path } = await import('./wrong-file.ts')
      const promised = describeBytes(noise(100, 7))
      await expect(registry.putBlob('liar', promised, { path: path(100) })).rejects.toMatchObject({
        code: 'integrity',
      })
      await expect(registry.blob('liar', promised)).rejects.toMatchObject({
        code: expect.stringMatching(/^(integrity|not-found)$/),
      })
    })

    it('finds what is about an artifact', async () => {
      const made = await publish(await open(), 'subject', 8, ['1.0'])
      const about = await publish(await open(), 'subject', 9, [], made.descriptor)
      const second = await publish(await open(), 'subject', 10, [], made.descriptor)
      const registry = await open()
      const found = await registry.referrers('subject', made.descriptor.digest)
      expect(found.map(({ digest }) => digest).sort()).toEqual(
        [about.descriptor.digest, second.descriptor.digest].sort(),
      )
      expect(await registry.manifest('subject', found[0]!)).toHaveLength(found[0]!.size)
      expect(await registry.referrers('subject', about.descriptor.digest)).toEqual([])
    })

    it('lists names with their tags and not what is about them', async () => {
      const registry = await open()
      const made = await publish(registry, 'listed', 11, ['1.0', 'latest'])
      await publish(registry, 'listed', 12, [], made.descriptor)
      const listed = (await registry.list()).find(({ name }) => name === 'listed')
      expect(listed?.tags).toEqual(['1.0', 'latest'])
    })
  })
}

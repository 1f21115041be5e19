import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { datasetManifest, datasetNames } from '../../manifests/datasets/read.ts'
import { embedded } from '../../zoo/registry/endpoints.ts'
import { pullModel } from '../../zoo/registry/pull.ts'
import { parseSource } from '../../zoo/registry/sources/source.ts'
import { testClient } from '../zoo/registry/help.ts'

describe('what ships with the zoo', () => {
  it.each(datasetNames())('data set %s names each file once, and sources that can be understood', (name) => {
    const { files } = datasetManifest(name)!
    expect(new Set(files.map(({ path }) => path)).size).toBe(files.length)
    for (const { sources } of files)
      for (const source of sources)
        for (const text of typeof source === 'string' ? [source] : [source.images, source.labels])
          expect(() => parseSource(text)).not.toThrow()
  })

  it('has models that are whole, and every one of them can be pulled', async () => {
    const registry = embedded(testClient().settings)
    for (const { name, tags } of await registry.list())
      for (const tag of tags) {
        const reference = { name, tag, digest: undefined }
        const pulled = await pullModel(testClient({ offline: true }), reference, [registry])
        expect(pulled.manifest.name).toBe(name)
      }
  })

  const policy = join(testClient().settings.shipped, 'trust.json')
  const unsigned = existsSync(policy) ? '' : ' (skipped: manifests/models/trust.json is not there yet)'
  it.skipIf(unsigned !== '')(
    `has models that are all signed by those who are trusted for them${unsigned}`,
    async () => {
      const client = testClient({ verify: 'require', offline: true })
      const registry = embedded(client.settings)
      for (const { name, tags } of await registry.list())
        for (const tag of tags) {
          const pulled = await pullModel(client, { name, tag, digest: undefined }, [registry])
          expect(pulled.signature.state).toBe('trusted')
        }
    },
  )
})

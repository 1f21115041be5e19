import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import { describe, expect, it } from 'vitest'
import { gunzipFile } from '../../../../zoo/registry/unpack/gzip.ts'
import { packTar } from '../../../../zoo/registry/unpack/pack-tar.ts'
import { unpackTar } from '../../../../zoo/registry/unpack/tar.ts'
import { makeModel, sha256, temporaryFolder } from '../help.ts'

type Entry = ConstructorParameters<typeof Header>[0] & { readonly content?: string }

/** An archive written entry by entry, as no honest tool would. */
function archive(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ content = '', ...fields }) => {
    const header = new Header({ mode: 0o644, size: content.length, ...fields } as ConstructorParameters<
      typeof Header
    >[0])
    const head = Buffer.alloc(512)
    header.encode(head)
    return [head, Buffer.from(content.padEnd(Math.ceil(content.length / 512) * 512, '\0'))]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

async function unpack(bytes: Buffer, limits?: { entries: number; bytes: number }) {
  const folder = temporaryFolder()
  const path = join(folder, 'archive')
  writeFileSync(path, bytes)
  const into = join(folder, 'inside', 'into')
  const error = await unpackTar(path, into, limits).then(
    () => undefined,
    (failure: Error) => failure,
  )
  return { error, into, folder }
}

const file = (path: string, content = 'x'): Entry => ({ path, content, type: 'File' })

describe('an archive', () => {
  for (const [how, wrap] of [
    ['plain', (bytes: Buffer) => bytes],
    ['gzipped', gzipSync],
  ] as const)
    it(`is unpacked, with modes of our choosing (${how})`, async () => {
      const entries = [
        { path: 'docs', type: 'Directory', mode: 0o700 } as Entry,
        { ...file('docs/card.md', '# card'), mode: 0o4755 } as Entry,
        file('model.onnx'),
      ]
      const { error, into } = await unpack(wrap(archive(entries)))
      expect(error).toBeUndefined()
      expect(readFileSync(join(into, 'docs/card.md'), 'utf8')).toBe('# card')
      expect(statSync(join(into, 'docs/card.md')).mode & 0o7777).toBe(0o644)
      expect(statSync(join(into, 'docs')).mode & 0o7777).toBe(0o755)
    })

  const hostile: [string, Entry[], RegExp][] = [
    ['a way out', [file('../evil')], /leads out of the folder/],
    ['a way out in the middle', [file('a/../../evil')], /leads out of the folder/],
    ['a way out with backslashes', [file('..\\evil')], /leads out of the folder/],
    ['an absolute path', [file('/tmp/zoo-evil')], /is absolute/],
    ['a drive letter', [file('C:\\evil')], /is absolute/],
    [
      'a symbolic link',
      [{ path: 'link', type: 'SymbolicLink', linkpath: '/etc/passwd' }],
      /is a SymbolicLink/,
    ],
    ['a hard link', [file('a'), { path: 'link', type: 'Link', linkpath: 'a' }], /is a Link/],
    ['a device', [{ path: 'null', type: 'CharacterDevice', devmaj: 1, devmin: 3 }], /is a CharacterDevice/],
    ['a pipe', [{ path: 'pipe', type: 'FIFO' }], /is a FIFO/],
    ['one name twice', [file('a', '1'), file('a', '2')], /a comes twice/],
    ['names that differ in case', [file('Model.onnx'), file('model.onnx')], /one name on some file systems/],
    ['names that differ in form', [file('caf\u00e9'), file('cafe\u0301')], /one name on some file systems/],
  ]
  for (const [what, entries, message] of hostile)
    it(`is refused with ${what}`, async () => {
      const { error, folder } = await unpack(archive(entries))
      expect(error).toMatchObject({ code: 'integrity', message: expect.stringMatching(message) })
      expect(existsSync(join(folder, 'evil'))).toBe(false)
      expect(existsSync(join(folder, 'inside', 'evil'))).toBe(false)
      expect(existsSync('/tmp/zoo-evil')).toBe(false)
    })

  it('is refused with more entries or bytes than allowed', async () => {
    const many = archive(Array.from({ length: 11 }, (_, i) => file(`f${i}`)))
    expect((await unpack(many, { entries: 10, bytes: 1e6 })).error).toMatchObject({ code: 'integrity' })
    const large = archive([file('large', 'x'.repeat(5000))])
    expect((await unpack(large, { entries: 10, bytes: 4999 })).error).toMatchObject({ code: 'integrity' })
    expect((await unpack(large, { entries: 10, bytes: 5000 })).error).toBeUndefined()
  })

  it('that is a bomb is stopped, whether its entries say so or not', async () => {
    const declared = gzipSync(archive([file('zeros', '\0'.repeat(16 << 20))]))
    expect((await unpack(declared, { entries: 10, bytes: 1000 })).error).toMatchObject({ code: 'integrity' })
    const padding = gzipSync(Buffer.concat([archive([file('a')]), Buffer.alloc(64 << 20)]))
    expect((await unpack(padding, { entries: 10, bytes: 1000 })).error).toMatchObject({ code: 'integrity' })
  })

  it('that is compressed twice is refused', async () => {
    expect((await unpack(gzipSync(gzipSync(archive([file('a')]))))).error).toMatchObject({
      code: 'integrity',
    })
  })

  for (const [what, bytes] of [
    ['cut', archive([file('a', 'x'.repeat(5000))]).subarray(0, 3000)],
    ['cut in its gzip', gzipSync(archive([file('a', 'x'.repeat(5000))])).subarray(0, 60)],
    ['no archive', Buffer.from('<html>'.repeat(200))],
    ['with a wrong checksum', Buffer.concat([Buffer.alloc(512, 'a'), Buffer.alloc(1024)])],
  ] as const)
    it(`that is ${what} is refused`, async () => {
      expect((await unpack(bytes)).error).toMatchObject({ code: 'integrity' })
    })
})

describe('a gzipped file', () => {
  const write = (bytes: Buffer) => {
    const path = join(temporaryFolder(), 'file.gz')
    writeFileSync(path, bytes)
    return path
  }

  it('is unpacked up to the size that it must have', async () => {
    const path = write(gzipSync(Buffer.alloc(1000, 7)))
    await gunzipFile(path, `${path}.out`, 1000)
    expect(readFileSync(`${path}.out`)).toEqual(Buffer.alloc(1000, 7))
  })

  it('that is a bomb is stopped at the first byte too many', async () => {
    const path = write(gzipSync(Buffer.alloc(100 << 20)))
    await expect(gunzipFile(path, `${path}.out`, 1000)).rejects.toMatchObject({ code: 'integrity' })
    expect(statSync(`${path}.out`).size).toBeLessThanOrEqual(1000)
  })

  it('that is cut is refused', async () => {
    const path = write(gzipSync(Buffer.alloc(1000, 7)).subarray(0, 20))
    await expect(gunzipFile(path, `${path}.out`, 1000)).rejects.toMatchObject({ code: 'integrity' })
  })
})

describe('packing', () => {
  it('depends on names and content alone', async () => {
    const pack = async (paths: string[]) => {
      const { folder } = makeModel('packed')
      const to = join(folder, 'packed.tar')
      await packTar(folder, paths, to)
      return readFileSync(to)
    }
    const first = await pack(['README.md', 'reports/parity.json'])
    expect(sha256(await pack(['reports/parity.json', 'README.md']))).toBe(sha256(first))
    const { error, into } = await unpack(first)
    expect(error).toBeUndefined()
    expect(readFileSync(join(into, 'README.md'), 'utf8')).toBe('# packed\n')
  })
})

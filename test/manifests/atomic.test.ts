import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { writeFileAtomic, writeJsonAtomic } from '../../manifests/atomic.ts'
import { packageRoot } from '../../manifests/package.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zoo-atomic-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

it('makes the folder, writes the file and leaves nothing beside it', async () => {
  const path = join(folder, 'a/b/result.json')
  await writeJsonAtomic(path, { robust: 0.5 })
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ robust: 0.5 })
  expect(await readdir(join(folder, 'a/b'))).toEqual(['result.json'])
})

it('keeps the older file when writing fails half-way', async () => {
  const path = join(folder, 'model.onnx')
  await writeFile(path, 'old')
  const half = writeFileAtomic(path, async (file) => {
    await file.writeFile('half of the n')
    throw new Error('the disk is gone')
  })
  await expect(half).rejects.toThrow('the disk is gone')
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(folder)).toEqual(['model.onnx'])
})

it('concurrent writers leave one whole file', async () => {
  const path = join(folder, 'refs')
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000))
  await Promise.all(contents.map((content) => writeFileAtomic(path, content)))
  expect(contents).toContain(await readFile(path, 'utf8'))
  expect(await readdir(folder)).toEqual(['refs'])
})

it('removes the temporary file of a process that exits in mid-write', async () => {
  const code = `import { writeFileAtomic } from './manifests/atomic.ts'
    await writeFileAtomic(${JSON.stringify(join(folder, 'x'))}, async (file) => {
      await file.writeFile('half')
      process.exit(7)
    })`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    cwd: packageRoot,
    stdio: 'inherit',
  })
  const [exit] = await once(child, 'exit')
  expect(exit).toBe(7)
  expect(await readdir(folder)).toEqual([])
})

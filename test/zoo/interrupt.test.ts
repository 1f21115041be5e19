import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { EXIT_CODES } from '../../manifests/error.ts'
import { packageRoot } from '../../manifests/package.ts'
import { readRecipe } from '../../manifests/recipes/read.ts'
import { folderWith, npy, npz } from '../converters/data/files.ts'

it('a training that is interrupted leaves a checkpoint, says how to go on, and nothing half-written', async () => {
  const x = Uint8Array.from({ length: 4 * 8 * 8 }, (_, i) => i)
  const y = BigInt64Array.from([0n, 0n, 1n, 1n])
  const folder = folderWith({ 'data.npz': npz({ x: npy(x, [4, 1, 8, 8]), y: npy(y, [4]) }) })
  const { validation: _, ...demo } = readRecipe('mnist-demo-clean')
  const recipe = {
    ...demo,
    data: { train: join(folder, 'data.npz'), classes: 2 },
    network: { ...demo.network, width: 2 },
    batch: 2,
    duration: { steps: 1_000_000 },
  }
  await writeFile(join(folder, 'recipe.json'), JSON.stringify(recipe))
  const run = join(folder, 'run')
  const words = ['train', join(folder, 'recipe.json'), '--out', run, '--backend', 'cpu']
  const child = spawn(process.execPath, [join(packageRoot, 'zoo/bin.mjs'), ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ZOO_NO_PROGRESS: '' },
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (!said.includes('"step":') && (said + text).includes('"step":')) child.kill('SIGINT')
    said += text
  })
  const [code] = await once(child, 'close')
  expect(said).toContain('[interrupted]')
  expect(said).toContain('the same command again')
  expect(code).toBe(EXIT_CODES.interrupted)
  expect((await readdir(run)).filter((file) => file.endsWith('.partial'))).toEqual([])
  const checkpoint = JSON.parse(await readFile(join(run, 'checkpoint.json'), 'utf8')) as { step: number }
  expect(checkpoint.step).toBeGreaterThan(0)
})

/**
 * How fast a large file is pulled and how much memory that takes, beside curl and sha256sum on the same machine:
 * `npm run bench:pull [MEGABYTES]`. Files go to the system's temporary folder. The loader that runs a checkout's sources
 * takes some 35 MB of the memory; the published package does without it.
 */
import { execFileSync, fork, spawn } from 'node:child_process'
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../manifests/package.ts'
import { hashFile } from '../../zoo/registry/store/hash.ts'

const ROUNDS = 5

/** Serves one file from a process of its own, as a registry would be. */
function serve(path: string): void {
  const size = statSync(path).size
  const server = createServer((_, response) => {
    response.setHeader('content-length', size)
    createReadStream(path, { highWaterMark: 1 << 20 }).pipe(response)
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port))
}

async function main(megabytes: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'zoo-bench-'))
  const path = join(folder, 'model.onnx')
  const block = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 2654435761) >>> 24))
  writeFileSync(path, '')
  for (let i = 0; i < megabytes; i++) writeFileSync(path, block, { flag: 'a' })
  const { sha256 } = await hashFile(path)
  const server = fork(import.meta.filename, ['serve', path])
  const port = await new Promise<number>((resolve) =>
    server.once('message', (value) => resolve(value as number)),
  )
  const url = `http://127.0.0.1:${port}/model.onnx`
  const seconds = { curl: [] as number[], zoo: [] as number[] }
  let memory = 0
  try {
    for (let round = 0; round < ROUNDS; round++) {
      seconds.curl.push(timed(() => withCurl(url, join(folder, 'curl.onnx'))))
      const begun = performance.now()
      memory = Math.max(memory, await withZoo(`${url}#sha256=${sha256}`, join(folder, 'home')))
      seconds.zoo.push((performance.now() - begun) / 1000)
      rmSync(join(folder, 'home'), { recursive: true })
    }
  } finally {
    server.kill()
    rmSync(folder, { recursive: true })
  }
  const [curl, zoo] = [median(seconds.curl), median(seconds.zoo)]
  process.stdout.write(
    `${megabytes} MB, medians of ${ROUNDS}: curl + sha256sum ${curl.toFixed(2)} s, zoo pull ${zoo.toFixed(2)} s ` +
      `(${(curl / zoo).toFixed(2)} of its throughput), at most ${(memory / 1024).toFixed(0)} MB of memory\n`,
  )
}

function withCurl(url: string, to: string): void {
  execFileSync('curl', ['-sS', '-o', to, url])
  execFileSync('sha256sum', [to])
  rmSync(to)
}

/** The whole command, process start included; gives the most memory that it had, in kilobytes. */
function withZoo(source: string, home: string): Promise<number> {
  const child = spawn(process.execPath, [join(packageRoot, 'zoo/bin.mjs'), 'pull', source], {
    env: { ...process.env, ZOO_HOME: home, ZOO_NO_PROGRESS: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let most = 0
  const watch = setInterval(() => {
    try {
      most = Math.max(
        most,
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0),
      )
    } catch {
      // It has just ended, or this isn't Linux.
    }
  }, 20)
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      clearInterval(watch)
      if (code === 0) resolve(most)
      else reject(new Error(`zoo pull ended with ${code}`))
    })
  })
}

function timed(work: () => void): number {
  const begun = performance.now()
  work()
  return (performance.now() - begun) / 1000
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

if (process.argv[2] === 'serve') serve(process.argv[3]!)
else await main(Number(process.argv[2] ?? 1000))

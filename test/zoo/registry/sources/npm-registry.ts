import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { create } from 'tar'
import { serve, type TestServer } from '../download/server.ts'
import { temporaryFolder } from '../help.ts'

/** An npm registry on loopback with one package in it, for `npm pack` to get. */
export async function npmRegistry(
  name: string,
  version: string,
  files: Readonly<Record<string, Buffer>>,
): Promise<TestServer> {
  const folder = temporaryFolder()
  const contents = { 'package.json': Buffer.from(JSON.stringify({ name, version })), ...files }
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, 'package', path)), { recursive: true })
    writeFileSync(join(folder, 'package', path), content)
  }
  await create({ file: join(folder, 'package.tgz'), cwd: folder, gzip: true }, ['package'])
  const tarball = readFileSync(join(folder, 'package.tgz'))
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const server: TestServer = await serve((request, response) => {
    if (request.url === '/package.tgz') return response.end(tarball)
    if (decodeURIComponent(request.url ?? '') !== `/${name}`) {
      response.statusCode = 404
      return response.end('{"error":"not found"}')
    }
    const dist = { tarball: `${server.origin}/package.tgz`, integrity }
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        name,
        'dist-tags': { latest: version },
        versions: { [version]: { name, version, dist } },
      }),
    )
  })
  return server
}

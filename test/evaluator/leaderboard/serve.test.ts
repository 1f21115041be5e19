import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveBoard } from '../../../evaluator/leaderboard/serve.ts'

let base: string
let served: Awaited<ReturnType<typeof serveBoard>>
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'zoo-serve-'))
  mkdirSync(join(base, 'board/v1'), { recursive: true })
  writeFileSync(join(base, 'board/index.html'), 'front')
  writeFileSync(join(base, 'board/v1/board.json'), '{}')
  writeFileSync(join(base, 'secret.txt'), 'secret')
  symlinkSync(join(base, 'secret.txt'), join(base, 'board/link.txt'))
  served = await serveBoard(join(base, 'board'), 0)
})
afterAll(() => {
  served.server.close()
  rmSync(base, { recursive: true, force: true })
})

/** Asks for a path as it stands: fetch would tidy it up first. */
const get = (path: string, method = 'GET') =>
  new Promise<{ status: number; body: string; type: string | undefined }>((resolve, reject) => {
    const { port } = new URL(served.url)
    request({ port, path, method, host: '127.0.0.1' }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode!, body, type: response.headers['content-type'] }),
      )
    })
      .on('error', reject)
      .end()
  })

describe('serveBoard', () => {
  it('serves pages and documents with their types', async () => {
    expect(await get('/')).toEqual({ status: 200, body: 'front', type: 'text/html; charset=utf-8' })
    expect(await get('/v1/board.json')).toMatchObject({ body: '{}', type: 'application/json; charset=utf-8' })
    expect(await get('/', 'HEAD')).toMatchObject({ status: 200, body: '' })
  })

  it('serves nothing outside its folder, by whatever way it is asked', async () => {
    for (const path of [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '//../secret.txt',
      '/link.txt',
      '/%zz',
      '/\0',
    ])
      expect((await get(encodeURI(path) === path ? path : encodeURI(path))).body).not.toContain('secret')
    expect((await get('/nowhere')).status).toBe(404)
    expect((await get('/', 'POST')).status).toBe(405)
  })

  it('says when there is no board, or the port is taken', async () => {
    await expect(serveBoard(join(base, 'board/v1'), 0)).rejects.toMatchObject({ code: 'not-found' })
    await expect(serveBoard(join(base, 'nowhere'), 0)).rejects.toMatchObject({ code: 'not-found' })
    await expect(serveBoard(join(base, 'board'), Number(new URL(served.url).port))).rejects.toMatchObject({
      code: 'conflict',
    })
  })
})

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { packageRoot, packageVersion } from '../../manifests/package.ts'
import { COMMANDS } from '../../zoo/commands.ts'
import { full } from '../data.ts'

const run = promisify(execFile)
const bin = join(packageRoot, 'zoo/bin.mjs')

interface Failure {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
const failure = (args: readonly string[]): Promise<Failure> =>
  run(process.execPath, [bin, ...args]).then(
    () => {
      throw new Error('the command should have failed')
    },
    (error: Failure) => error,
  )

describe('the zoo command in a checkout', () => {
  it('prints its version', async () => {
    const { stdout } = await run(process.execPath, [bin, '--version'])
    expect(stdout.trim()).toBe(packageVersion())
  })

  it('lists every command with its summary', async () => {
    const { stdout } = await run(process.execPath, [bin, '--help'])
    for (const { name } of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'))
  })

  it('exits 2 on an unknown command and says where help is', async () => {
    const { code, stderr } = await failure(['evaluate'])
    expect(code).toBe(2)
    expect(stderr).toContain("unknown command 'evaluate'")
    expect(stderr).toContain('zoo --help')
  })

  it.each(COMMANDS.map(({ name }) => name))('zoo %s --help shows examples', async (name) => {
    const { stdout } = await run(process.execPath, [bin, name, '--help'])
    expect(stdout).toContain(`zoo ${name}`)
    expect(stdout).toContain('Examples:')
  })
})

describe.runIf(full)('the published package', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'zoo-pack-'))
    await run('npm', ['run', 'build'], { cwd: packageRoot })
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: packageRoot,
    })
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
    await writeFile(join(folder, 'package.json'), '{ "name": "someone", "private": true }')
    await run('npm', ['install', '--ignore-scripts', join(folder, filename)], { cwd: folder })
  }, 600_000)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('runs zoo doctor from an empty project', async () => {
    const { stdout } = await run('npx', ['--no-install', 'zoo', 'doctor', '--json'], { cwd: folder })
    expect(JSON.parse(stdout)).toHaveProperty('backends')
  }, 300_000)
})

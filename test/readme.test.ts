import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { EXIT_CODES } from '../manifests/error.ts'
import { packageRoot } from '../manifests/package.ts'
import { COMMANDS } from '../zoo/commands.ts'

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8')

it('lists every error code with its exit status', () => {
  const rows = [...readme.matchAll(/^\| `([a-z-]+)` \| (\d+) \|/gm)]
  const listed = Object.fromEntries(rows.map(([, code, exit]) => [code!, Number(exit)]))
  expect(listed).toEqual(EXIT_CODES)
})

it('shows every command at work', () => {
  const silent = COMMANDS.filter(({ name }) => !readme.includes(`zoo ${name}`))
  expect(silent.map(({ name }) => name)).toEqual([])
})

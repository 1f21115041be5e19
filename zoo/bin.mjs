#!/usr/bin/env node
// Runs the TypeScript sources in a checkout and the compiled files in the published package.
import { existsSync } from 'node:fs'

if (existsSync(new URL('./main.ts', import.meta.url))) {
  const { register } = await import('tsx/esm/api').catch(() => {
    process.stderr.write('zoo: this checkout has no packages yet; run npm ci first [usage]\n')
    process.exit(2)
  })
  register()
  await import('./main.ts')
} else {
  await import('../dist/zoo/main.js')
}

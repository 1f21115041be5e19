import { existsSync } from 'node:fs'
import { describe } from 'vitest'
import { openEngine } from '../../../../trainer/engines/open.ts'
import { bindingPath } from '../../../../trainer/engines/tfjs/native/libraries.ts'
import { engineSuite } from '../engine.suite.ts'

engineSuite('tfjs on cpu', (options) => openEngine('cpu', options))
engineSuite('tfjs on wasm', (options) => openEngine('wasm', options))

const native = existsSync(bindingPath())
describe.skipIf(!native)(native ? '' : 'skipped: zoo setup tfjs has not run here', () => {
  engineSuite('tfjs on libtensorflow', (options) => openEngine('node', options))
})

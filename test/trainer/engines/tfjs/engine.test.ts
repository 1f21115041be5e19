import { openEngine } from '../../../../trainer/engines/open.ts'
import { engineSuite } from '../engine.suite.ts'

engineSuite('tfjs on cpu', (options) => openEngine('cpu', options))
engineSuite('tfjs on wasm', (options) => openEngine('wasm', options))

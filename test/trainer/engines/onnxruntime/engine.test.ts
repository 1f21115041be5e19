import { openEngine } from '../../../../trainer/engines/open.ts'
import { engineSuite } from '../engine.suite.ts'

engineSuite('onnxruntime on cpu', (options) => openEngine('ort', options))

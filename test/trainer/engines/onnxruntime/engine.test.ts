import { OnnxruntimeEngine } from '../../../../trainer/engines/onnxruntime/engine.ts'
import { engineSuite } from '../engine.suite.ts'

engineSuite('the onnxruntime engine', async (options) => new OnnxruntimeEngine(options))

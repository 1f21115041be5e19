import { openSession } from '../../../../converters/onnx/runtime/open.ts'
import { sessionSuite } from './session.suite.ts'

sessionSuite('openSession', openSession)

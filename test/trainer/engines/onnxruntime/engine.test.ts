import { describe } from 'vitest'
import type { Provider } from '../../../../converters/onnx/runtime/session.ts'
import { openEngine } from '../../../../trainer/engines/open.ts'
import { engineSuite } from '../engine.suite.ts'

engineSuite('onnxruntime on cpu', (options) => openEngine('ort', options))

// Such as webgpu, for which a software Vulkan will do: SwiftShader comes with Chromium.
const provider = process.env.ZOO_TEST_PROVIDER as Provider | undefined
if (provider)
  engineSuite(`onnxruntime on ${provider}`, (options) => openEngine('ort', { ...options, provider }))
else describe.skip('onnxruntime on a GPU (set ZOO_TEST_PROVIDER to cuda or webgpu)', () => {})

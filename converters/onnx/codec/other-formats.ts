import { ZooError } from '../../../manifests/error.ts'

/** What people hand over by mistake, told by how it begins. */
const FORMATS: readonly { at?: number; begins: string | RegExp; what: string; hint: string }[] = [
  {
    begins: 'version https://git-lfs',
    what: 'a Git LFS pointer, not the model itself',
    hint: 'fetch the real file with `git lfs pull`',
  },
  {
    begins: /^\s*<(!doctype|html|\?xml)/i,
    what: 'a web page, not a model',
    hint: 'a download was answered with a page: check the address',
  },
  {
    begins: /^\s*[{[]/,
    what: 'JSON text, not an ONNX model',
    hint: 'a TensorFlow.js model.json becomes one with `zoo convert`',
  },
  {
    begins: 'PK\x03\x04',
    what: 'a zip archive (PyTorch .pt, Keras .keras, .npz), not an ONNX model',
    hint: 'export the model to ONNX first',
  },
  { begins: '\x1f\x8b', what: 'a gzip archive', hint: 'unpack it first' },
  {
    begins: '\x89HDF',
    what: 'an HDF5 file (Keras .h5), not an ONNX model',
    hint: 'export the model to ONNX first',
  },
  {
    at: 4,
    begins: 'ORTM',
    what: "a model in onnxruntime's own format",
    hint: 'use the .onnx file behind it',
  },
  { at: 4, begins: 'TFL3', what: 'a TensorFlow Lite model', hint: 'export the model to ONNX first' },
]

/** @throws ZooError `invalid-model` that says what the file is instead */
export function refuseOtherFormats(bytes: Uint8Array): void {
  if (bytes.byteLength === 0) throw new ZooError('invalid-model', 'the file is empty')
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(64, bytes.byteLength)).toString('latin1')
  for (const { at = 0, begins, what, hint } of FORMATS)
    if (typeof begins === 'string' ? start.startsWith(begins, at) : begins.test(start))
      throw new ZooError('invalid-model', `this is ${what}`, { hint })
}

import { fromBinary } from '@bufbuild/protobuf'
import { ZooError } from '../../manifests/error.ts'
import { checkBudget } from './codec/budget.ts'
import { decodedModel } from './codec/decode.ts'
import { encodedModel } from './codec/encode.ts'
import { refuseOtherFormats } from './codec/other-formats.ts'
import { survey } from './codec/survey.ts'
import type { OpenExternal } from './codec/tensor.ts'
import type { Model } from './graph.ts'
import { ModelProtoSchema } from './schema/onnx_pb.ts'

/**
 * Reads a model from the bytes of an .onnx file. Weights stay views of `bytes`: nothing large is copied.
 *
 * The decoder is protobuf-es, generated from a current onnx.proto, because it keeps fields that it does not know:
 * such a file is refused by that field's name rather than read without it. Known fields for which `Model` has no
 * place and on which no output depends are listed in `Model.omitted`.
 *
 * @param openExternal finds the tensors that lie in other files; without it such a model is an error. See `readModel`.
 * @throws ZooError `invalid-model` for anything that is not a whole ONNX model; `unsupported-model` for one that uses
 *   what this package has no form for
 */
export function decodeModel(bytes: Uint8Array, openExternal?: OpenExternal): Model {
  refuseOtherFormats(bytes)
  const message = parsed(bytes)
  const omitted = survey(message)
  const model = decodedModel(message, openExternal)
  return omitted.length > 0 ? { ...model, omitted } : model
}

/**
 * Writes a model as the bytes of an .onnx file, all weights inside, always as `raw_data`.
 * onnx-proto encodes models of IR version 8 and below, which is all that we build; a newer model's fields it does not
 * know, so those go through the generated schema.
 *
 * @throws ZooError `unsupported-model` above protobuf's limit of 2 GiB: `writeModel` puts such weights into another file
 */
export function encodeModel(model: Model): Uint8Array {
  return encodedModel(model)
}

function parsed(bytes: Uint8Array) {
  try {
    checkBudget(bytes)
    return fromBinary(ModelProtoSchema, bytes)
  } catch (error) {
    if (error instanceof ZooError) throw error
    throw new ZooError('invalid-model', `this is not a whole ONNX model: ${(error as Error).message}`, {
      hint: 'the file is damaged, cut short, or of another format',
      cause: error,
    })
  }
}

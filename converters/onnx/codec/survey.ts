import type { Message } from '@bufbuild/protobuf'
import { ZooError } from '../../../manifests/error.ts'
import type { ModelProto } from '../schema/onnx_pb.ts'

/** Fields on which no output depends and for which `Model` has no place, by message. */
const WITHOUT_PLACE: Readonly<Record<string, readonly string[]>> = {
  'onnx.ModelProto': ['trainingInfo', 'configuration'],
  'onnx.GraphProto': ['docString', 'quantizationAnnotation', 'metadataProps'],
  'onnx.NodeProto': ['docString', 'deviceConfigurations'],
  'onnx.AttributeProto': ['docString'],
  'onnx.TensorProto': ['docString', 'metadataProps'],
  'onnx.ValueInfoProto': ['docString', 'metadataProps'],
  'onnx.FunctionProto': ['docString', 'metadataProps', 'valueInfo'],
  'onnx.TypeProto': ['denotation'],
  'onnx.TensorShapeProto.Dimension': ['denotation'],
}

/** What the decoder puts in the place of bytes that are not UTF-8: in names, two could become the same. */
const REPLACEMENT = '\ufffd'

/** Text in which it does no harm. */
const PROSE = new Set(['ModelProto.docString', 'StringStringEntryProto.value'])

/**
 * Looks through everything that a file says, before it is turned into a `Model`, so that nothing is lost in silence.
 *
 * @returns the fields that will be left behind
 * @throws ZooError `invalid-model` for a field unknown to the schema and for names that are not UTF-8, which are signs
 *   of a damaged file, or of one newer than the schema
 */
export function survey(model: ModelProto): string[] {
  const omitted = new Set<string>()
  visit(model, omitted)
  return [...omitted].sort()
}

function visit(message: Message, omitted: Set<string>): void {
  const name = message.$typeName.replace('onnx.', '')
  const unknown = message.$unknown?.[0]
  if (unknown)
    throw new ZooError('invalid-model', `${name} has a field ${unknown.no} that this version does not know`, {
      hint: 'the file is damaged, or newer than IR version 14; export it at an older opset',
    })
  const without = WITHOUT_PLACE[message.$typeName]
  for (const [field, value] of Object.entries(message)) {
    if (field === '$typeName' || value instanceof Uint8Array) continue
    if (without?.includes(field)) {
      if (!Array.isArray(value) || value.length > 0) omitted.add(`${name}.${field}`)
      continue
    }
    if (Array.isArray(value)) for (const item of value) if (!look(item, name, field, omitted)) break
    look(value, name, field, omitted)
  }
}

/** False for an item whose kin need no look: numbers come in arrays of millions. */
function look(value: unknown, name: string, field: string, omitted: Set<string>): boolean {
  if (typeof value === 'string') {
    if (value.includes(REPLACEMENT) && !PROSE.has(`${name}.${field}`))
      throw new ZooError('invalid-model', `${name}.${field} holds text that is not UTF-8`, {
        hint: 'the file is damaged',
      })
    return true
  }
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return false
  if ('$typeName' in value) visit(value as Message, omitted)
  else if ('case' in value && 'value' in value) look(value.value, name, field, omitted)
  return true
}

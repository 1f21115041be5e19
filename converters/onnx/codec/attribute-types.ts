import type { AttributeType } from '../graph.ts'
import { AttributeProto_AttributeType as Type } from '../schema/onnx_pb.ts'

const CODES: Readonly<Record<AttributeType, Type>> = {
  float: Type.FLOAT,
  int: Type.INT,
  string: Type.STRING,
  tensor: Type.TENSOR,
  graph: Type.GRAPH,
  type: Type.TYPE_PROTO,
  floats: Type.FLOATS,
  ints: Type.INTS,
  strings: Type.STRINGS,
  tensors: Type.TENSORS,
  graphs: Type.GRAPHS,
}

const NAMES = new Map(Object.entries(CODES).map(([name, code]) => [code, name as AttributeType]))

export const attributeTypeCode = (type: AttributeType): Type => CODES[type]
export const attributeTypeName = (code: Type): AttributeType | undefined => NAMES.get(code)

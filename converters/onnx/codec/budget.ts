import { type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { ZooError } from '../../../manifests/error.ts'
import { ModelProtoSchema } from '../schema/onnx_pb.ts'

/** Rough bytes of memory that decoding makes of each thing in a file. */
const MESSAGE = 300
const TEXT = 60
const INTEGER = 40
const FLOAT = 16

/** What any file may take, and what it may take for each of its own bytes. Real models take a fifth of this. */
const FREE = 256e6
const PER_BYTE = 5

/** Deeper than models nest, and what the decoder itself allows. */
const DEEPEST = 100

/**
 * Looks over the wire form before anything is built from it: two bytes can stand for an object of hundreds, so a small
 * hostile file could fill any memory.
 *
 * @throws ZooError `invalid-model` for a file that would take far more memory than its size explains
 */
export function checkBudget(bytes: Uint8Array): void {
  new Estimate(bytes).message(ModelProtoSchema, bytes.byteLength, 0)
}

class Estimate {
  readonly #reader: BinaryReader
  readonly #bytes: Uint8Array
  #left: number

  constructor(bytes: Uint8Array) {
    this.#reader = new BinaryReader(bytes)
    this.#bytes = bytes
    this.#left = FREE + PER_BYTE * bytes.byteLength
  }

  message(schema: DescMessage, end: number, depth: number): void {
    if (depth > DEEPEST) throw new ZooError('invalid-model', 'the model is nested too deeply')
    this.#spend(MESSAGE)
    const reader = this.#reader
    while (reader.pos < end) {
      const [number, wireType] = reader.tag()
      const field = schema.fields.find((candidate) => candidate.number === number)
      if (wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number)
        if (field?.fieldKind === 'list') this.#spend(INTEGER)
        continue
      }
      const length = reader.uint32()
      const stop = reader.pos + length
      if (stop > end) throw new RangeError('a field goes on beyond the end of the file')
      if (field?.message) this.message(field.message, stop, depth + 1)
      else if (field?.fieldKind === 'list' && field.listKind === 'scalar') this.#packed(field.scalar, stop)
      else this.#spend(TEXT)
      reader.pos = stop
    }
  }

  #packed(type: ScalarType, stop: number): void {
    const length = stop - this.#reader.pos
    if (type === ScalarType.STRING || type === ScalarType.BYTES) this.#spend(TEXT)
    else if (type === ScalarType.FLOAT) this.#spend((length / 4) * FLOAT)
    else if (type === ScalarType.DOUBLE) this.#spend((length / 8) * FLOAT)
    else {
      let count = 0
      for (let i = this.#reader.pos; i < stop; i++) if (this.#bytes[i]! < 0x80) count++
      this.#spend(count * INTEGER)
    }
  }

  #spend(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0)
      throw new ZooError('invalid-model', 'the model would take far more memory than its size explains', {
        hint: 'it has millions of empty parts, or numbers in the slowest of forms; export it again',
      })
  }
}

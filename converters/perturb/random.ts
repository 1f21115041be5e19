/**
 * Randomness that is a function of a key, not of a moment.
 *
 * What an example is given depends on who it is and what it is for, `[seed, purpose, example, restart, step]`,
 * never on the row it sits in or on what was drawn before. So a run that was interrupted, sharded or batched
 * otherwise draws the same numbers.
 *
 * The generator is Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011): a block cipher in counter mode.
 */

/** Whole numbers from 0 to 2^53 - 1. */
export type Key = readonly number[]

const PARITY = 0x1bd11bda
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const
const ROUNDS = 20
const TWO_32 = 0x1_0000_0000

/** Second counter word of every drawn block: no key number reaches it, so drawing and deriving keys never meet. */
const DRAW = 0x8000_0000

/** Encrypts the counter (c0, c1) under the key (k0, k1) into `out`. */
export function threefry(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const schedule = [k0, k1, PARITY ^ k0 ^ k1]
  let a = (c0 + k0) | 0
  let b = (c1 + k1) | 0
  for (let round = 0; round < ROUNDS; round++) {
    const bits = ROTATIONS[round & 7]!
    a = (a + b) | 0
    b = ((b << bits) | (b >>> (32 - bits))) ^ a
    if ((round & 3) === 3) {
      const turn = (round + 1) >> 2
      a = (a + schedule[turn % 3]!) | 0
      b = (b + schedule[(turn + 1) % 3]! + turn) | 0
    }
  }
  out[0] = a
  out[1] = b
}

/** `count` random 32-bit words for this key. */
export function words(key: Key, count: number): Uint32Array {
  const pair = new Uint32Array(2)
  for (const number of key) threefry(pair[0]!, pair[1]!, number % TWO_32, Math.floor(number / TWO_32), pair)
  const k0 = pair[0]!
  const k1 = pair[1]!
  const drawn = new Uint32Array(count)
  for (let i = 0; i < count; i += 2) {
    threefry(k0, k1, i >>> 1, DRAW, pair)
    drawn[i] = pair[0]!
    if (i + 1 < count) drawn[i + 1] = pair[1]!
  }
  return drawn
}

/** Uniform in [0, 1), 24 bits each, so that every value is a float32. */
export function uniforms(key: Key, count: number): Float32Array {
  const drawn = words(key, count)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = (drawn[i]! >>> 8) / 0x100_0000
  return values
}

/** Standard normal (Box & Muller 1958). */
export function normals(key: Key, count: number): Float32Array {
  const drawn = words(key, count + (count & 1))
  const values = new Float32Array(count)
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((drawn[i]! + 1) / TWO_32))
    const angle = (2 * Math.PI * drawn[i + 1]!) / TWO_32
    values[i] = radius * Math.cos(angle)
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle)
  }
  return values
}

/** Uniform whole numbers from 0 to `below` - 1; the bias is less than `below` / 2^32. */
export function integers(key: Key, count: number, below: number): Int32Array {
  const drawn = words(key, count)
  const values = new Int32Array(count)
  for (let i = 0; i < count; i++) values[i] = Math.floor((drawn[i]! / TWO_32) * below)
  return values
}

/** A number for a name, so that a purpose can stand in a key (FNV-1a, 32 bits). */
export function keyOf(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

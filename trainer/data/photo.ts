import sharp from 'sharp'
import { type Key, normals, uniforms, words } from '../../converters/perturb/random.ts'

/** How one photo becomes an image [3, H, W] in [0,1]. */
export interface PhotoRequest {
  readonly path: string
  readonly size: readonly [height: number, width: number]
  /** Draws the variations of training; without it the photo is scaled and cut from its middle. */
  readonly key?: Key | undefined
}

interface Area {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

/**
 * Decodes a photo as Xie & Yuille's code does. For training: an area of 8 to 100 % at a ratio of 3/4 to 4/3, bicubic;
 * brightness and contrast times 0.6 to 1.4, saturation by 0.4, PCA lighting of 0.1, in random order; mirrored half
 * of the time. For validation: the shortest edge to 256/224 of the size, bicubic, the middle cut out.
 */
export async function readPhoto({ path, size, key }: PhotoRequest): Promise<Float32Array> {
  const photo = sharp(path, { failOn: 'error' })
  const { width = 0, height = 0 } = await photo.metadata()
  const area = key ? randomArea(width, height, key) : middle(width, height, size)
  const pixels = await photo
    .extract(area)
    .resize({ width: size[1], height: size[0], fit: 'fill', kernel: 'cubic' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer()
  const image = planes(pixels)
  return key ? varied(image, size, key) : image
}

const [AREA, COLOUR, LIGHT, ORDER] = [1, 2, 3, 4]

/** Ten tries for an area that fits; then the middle square. */
function randomArea(width: number, height: number, key: Key): Area {
  const drawn = uniforms([...key, AREA], 50)
  for (let i = 0; i < 50; i += 5) {
    const [share, ratio, turn, x, y] = drawn.subarray(i, i + 5) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ]
    const area = width * height * (0.08 + 0.92 * share)
    const aspect = 3 / 4 + (4 / 3 - 3 / 4) * ratio
    const [a, b] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))]
    const [w, h] = turn < 0.5 ? [a, b] : [b, a]
    if (w >= 1 && h >= 1 && w <= width && h <= height)
      return {
        left: Math.floor(x * (width - w + 1)),
        top: Math.floor(y * (height - h + 1)),
        width: w,
        height: h,
      }
  }
  return middle(width, height, [1, 1], 1)
}

/** What the scaled photo's middle shows, in the photo's own pixels. */
function middle(width: number, height: number, size: readonly [number, number], scale = 224 / 256): Area {
  const unit = (scale * Math.min(width, height)) / Math.min(size[0], size[1])
  const [w, h] = [
    Math.max(1, Math.min(width, Math.round(unit * size[1]))),
    Math.max(1, Math.min(height, Math.round(unit * size[0]))),
  ]
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h }
}

function planes(pixels: Uint8Array): Float32Array {
  const size = pixels.length / 3
  const image = new Float32Array(pixels.length)
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) image[c * size + i] = pixels[3 * i + c]! / 255
  return image
}

/** Luma of RGB (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114] as const

/** Eigenvalues and vectors (by rows R, G, B) of ImageNet's pixel colours in [0,1] (Krizhevsky et al. 2012). */
const EIGENVALUES = [0.2175, 0.0188, 0.0045] as const
const EIGENVECTORS = [
  [-0.5675, 0.7192, 0.4009],
  [-0.5808, -0.0045, -0.814],
  [-0.5836, -0.6948, 0.4203],
] as const

function varied(image: Float32Array, [height, width]: readonly [number, number], key: Key): Float32Array {
  const size = height * width
  const [brightness, contrast, saturation, mirror] = uniforms([...key, COLOUR], 4) as unknown as [
    number,
    number,
    number,
    number,
  ]
  const steps = [
    () => affine(image, 0.6 + 0.8 * brightness, 0),
    () => {
      const factor = 0.6 + 0.8 * contrast
      affine(image, factor, (1 - factor) * meanLuma(image, size))
    },
    () => saturate(image, size, 0.6 + 0.8 * saturation),
    () => light(image, size, normals([...key, LIGHT], 3)),
  ]
  const order = words([...key, ORDER], steps.length)
  const ranked = steps.map((step, i) => ({ step, rank: order[i]! })).sort((a, b) => a.rank - b.rank)
  for (const { step } of ranked) step()
  for (const [i, value] of image.entries()) image[i] = Math.min(1, Math.max(0, value))
  if (mirror < 0.5)
    for (let row = 0; row < 3 * height; row++) image.subarray(row * width, (row + 1) * width).reverse()
  return image
}

function affine(image: Float32Array, factor: number, shift: number): void {
  for (let i = 0; i < image.length; i++) image[i] = factor * image[i]! + shift
}

const lumaAt = (image: Float32Array, size: number, i: number): number =>
  LUMA[0] * image[i]! + LUMA[1] * image[size + i]! + LUMA[2] * image[2 * size + i]!

function meanLuma(image: Float32Array, size: number): number {
  let sum = 0
  for (let i = 0; i < size; i++) sum += lumaAt(image, size, i)
  return sum / size
}

function saturate(image: Float32Array, size: number, factor: number): void {
  for (let i = 0; i < size; i++) {
    const grey = (1 - factor) * lumaAt(image, size, i)
    for (let at = i; at < image.length; at += size) image[at] = factor * image[at]! + grey
  }
}

function light(image: Float32Array, size: number, noise: Float32Array): void {
  for (const [channel, vector] of EIGENVECTORS.entries()) {
    const shift = vector.reduce((sum, component, k) => sum + component * 0.1 * noise[k]! * EIGENVALUES[k]!, 0)
    for (let i = channel * size; i < (channel + 1) * size; i++) image[i]! += shift
  }
}

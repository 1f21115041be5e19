import { type Command, InvalidArgumentError } from 'commander'
import { type InputDescription, inputSchema } from '../manifests/schema/input.ts'
import { parseAs } from '../manifests/schema/parse.ts'

/** How a bare .onnx wants its images, as flags; they apply in the order in which the help lists them. */
export function withInputOptions(command: Command): Command {
  return command
    .option('--range <lo,hi>', 'what 0 and 1 map to', numbers)
    .option('--channels <order>', 'rgb, bgr or grey')
    .option('--mean <values>', "subtracted, in the model's units and channel order", numbers)
    .option('--std <values>', 'divided by', numbers)
    .option('--layout <layout>', 'nchw, nhwc or flat')
    .option('--size <HxW>', 'height and width of the images that the model takes', size)
    .option('--label-offset <k>', "the model's class is the label plus this", integer)
}

export interface InputFlags {
  readonly range?: number[]
  readonly channels?: string
  readonly mean?: number[]
  readonly std?: number[]
  readonly layout?: string
  readonly size?: number[]
  readonly labelOffset?: number
}

const NAMES = ['range', 'channels', 'mean', 'std', 'layout', 'size', 'labelOffset'] as const

/**
 * The description that the flags give, on top of a manifest's where there is one; undefined if there is neither.
 *
 * @throws ZooError `invalid-manifest` for values that no description has
 */
export function inputFrom(flags: InputFlags, manifest?: InputDescription): InputDescription | undefined {
  const given = NAMES.filter((name) => flags[name] !== undefined)
  if (given.length === 0) return manifest
  const document = { ...manifest, ...Object.fromEntries(given.map((name) => [name, flags[name]])) }
  return parseAs(inputSchema, document, 'the description of the images')
}

export function numbers(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (values.some(Number.isNaN)) throw new InvalidArgumentError('give numbers, separated by commas.')
  return values
}

export function size(text: string): number[] {
  const match = /^(\d+)x(\d+)$/.exec(text)
  if (!match) throw new InvalidArgumentError('give height and width, such as 224x224.')
  return [Number(match[1]), Number(match[2])]
}

function integer(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value)) throw new InvalidArgumentError('give a whole number.')
  return value
}

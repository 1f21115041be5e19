import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import { openData } from '../../converters/data/open.ts'
import { writeModel } from '../../converters/onnx/file.ts'
import { openChildSession } from '../../converters/onnx/runtime/child.ts'
import { checkParity, describeParity } from '../../converters/tfjs/check.ts'
import { type Conversion, convertTfjs } from '../../converters/tfjs/convert.ts'
import type { ParityReport } from '../../converters/tfjs/parity.ts'
import { readTfjs, type TfjsModel } from '../../converters/tfjs/read.ts'
import { dataSamples, type Range, randomSamples, type Samples } from '../../converters/tfjs/samples.ts'
import { writeJsonAtomic } from '../../manifests/atomic.ts'
import { ZooError } from '../../manifests/error.ts'
import { dataArgument } from '../data-argument.ts'
import { numbers, size } from '../input-options.ts'
import { natural, positive } from '../option-values.ts'
import { type Io, io, zooCommand } from '../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'

interface Options extends TransferOptions {
  readonly out: string
  readonly layout: 'nhwc' | 'nchw'
  readonly size?: number[]
  readonly batch?: number
  readonly output?: string[]
  readonly data?: string
  readonly range: number[]
  readonly samples: number
  readonly seed: number
  readonly tolerance: number
  readonly parity: boolean
}

export function command(): Command {
  const convert = zooCommand('convert', 'Turn a tfjs layers or graph model into ONNX and compare the two', [
    'zoo convert mobilenet/model.json -o mobilenet.onnx --range -1,1',
    'zoo convert model.json -o model.onnx --data images/ --samples 100 --layout nchw',
  ])
    .argument('<model.json>', 'a tfjs model, its weight files beside it')
    .requiredOption('-o, --out <file>', 'the .onnx file to write; a report of the comparison goes beside it')
    .addOption(
      new Option('--layout <layout>', 'how images enter and leave: as in tfjs, or channels first')
        .choices(['nhwc', 'nchw'])
        .default('nhwc'),
    )
    .option('--size <HxW>', 'height and width, for a model that leaves them open', size)
    .option('--batch <n>', 'fix the batch size', positive)
    .option('--output <name...>', 'keep only these outputs')
    .option('--data <data>', 'compare on these images instead of random ones: a data set, a folder, an .npz')
    .option('--range <lo,hi>', 'what 0 and 1 of an image mean to the model', range, [0, 1])
    .option('--samples <n>', 'how many inputs to compare on', positive, 8)
    .option('--seed <seed>', 'of the random inputs', natural, 0)
    .option('--tolerance <t>', 'largest difference, relative to the largest output', tolerance, 1e-4)
    .option('--no-parity', 'convert without a comparison')
  return transferOptions(convert).action(run)
}

async function run(path: string, options: Options): Promise<void> {
  const out = io(options)
  const source = await readTfjs(path)
  const conversion = convertTfjs(source, {
    layout: options.layout,
    ...(options.size && { size: options.size as [number, number] }),
    ...(options.batch !== undefined && { batch: options.batch }),
    ...(options.output && { outputs: options.output }),
  })
  const parity = options.parity ? await checked(source, conversion, options, out) : null
  const report = { ...described(path, source, conversion, options), parity }
  await writeJsonAtomic(reportPath(options.out), report)
  if (parity && !parity.passed)
    throw new ZooError(
      'check-failed',
      `the converted model differs from the original: ${describeParity(parity).join('; ')}`,
      {
        hint: `no model was written; ${reportPath(options.out)} has the figures`,
      },
    )
  await writeModel(conversion.model, options.out)
  out.answer(report, ({ model }) =>
    [
      `${model.path}: ${model.nodes} nodes, inputs ${model.inputs.join(', ')}, outputs ${model.outputs.join(', ')}`,
      ...(parity
        ? [
            `like ${parity.reference} on ${parity.samples} samples:`,
            ...describeParity(parity).map((line) => `  ${line}`),
          ]
        : ['not compared with the original']),
    ].join('\n'),
  )
}

/** `model.parity.json` for `model.onnx`. */
const reportPath = (path: string): string => `${path.replace(/\.onnx$/, '')}.parity.json`

function described(path: string, source: TfjsModel, { model, layout }: Conversion, options: Options) {
  const { inputs, outputs, nodes } = model.graph
  return {
    source: { path, format: source.format, files: source.files },
    model: {
      path: options.out,
      layout,
      nodes: nodes.length,
      inputs: inputs.map(({ name, dims }) => `${name} [${dims?.join(', ')}]`),
      outputs: outputs.map(({ name, dims }) => `${name} [${dims?.join(', ')}]`),
    },
  }
}

async function checked(
  source: TfjsModel,
  conversion: Conversion,
  options: Options,
  out: Io,
): Promise<ParityReport> {
  const samples = await samplesFor(conversion, options, out)
  const session = await openChildSession(conversion.model)
  try {
    return await checkParity(source, conversion, session, {
      samples,
      tolerance: options.tolerance,
      progress: out.progress,
    })
  } finally {
    await session.release()
  }
}

async function samplesFor({ inputs }: Conversion, options: Options, out: Io): Promise<Samples> {
  const range = options.range as unknown as Range
  if (options.data === undefined) return randomSamples(inputs, options.samples, range, options.seed)
  const [height, width] = inputs[0]!.dims.slice(1) as [number, number]
  const spec = await dataArgument(clientFor(options, out), options.data)
  const data = await openData(spec, { size: [height, width] })
  return dataSamples(inputs, data, options.samples, range)
}

function range(text: string): number[] {
  const values = numbers(text)
  if (values.length !== 2) throw new InvalidArgumentError('give two numbers, such as -1,1.')
  return values
}

function tolerance(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('give a number above 0.')
  return value
}

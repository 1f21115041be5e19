import { type Command, InvalidArgumentError } from 'commander'
import { parseEps } from '../../evaluator/eps.ts'
import { evaluate } from '../../evaluator/evaluate.ts'
import type { EvaluationRequest } from '../../evaluator/request.ts'
import { readBattery } from '../../manifests/batteries/read.ts'
import { ZooError } from '../../manifests/error.ts'
import { dataArgument } from '../data-argument.ts'
import { describeResult } from '../describe-result.ts'
import { inputFrom, withInputOptions } from '../input-options.ts'
import { type ModelAtHand, modelArgument } from '../model-argument.ts'
import { natural, oneOf, positive } from '../option-values.ts'
import { io, zooCommand } from '../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'

type InputFlags = Parameters<typeof inputFrom>[0]

interface Options extends TransferOptions, InputFlags {
  readonly data?: string
  readonly battery: string
  readonly norm?: EvaluationRequest['norm']
  readonly eps?: string
  readonly limit?: number
  readonly seed: number
  readonly outputKind?: EvaluationRequest['outputKind']
  readonly provider: EvaluationRequest['provider']
  readonly jobs?: number
  readonly threads?: number
  readonly shard?: { index: number; count: number }
  readonly out?: string
}

export function command(): Command {
  const evaluation = zooCommand(
    'eval',
    'Attack a zoo model or any .onnx classifier and say how robust it is',
    [
      'zoo eval model.onnx --data cifar10 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --limit 500',
      'zoo eval model.onnx --data images/ --range 0,255 --eps 4/255 --battery autoattack --out run/',
      'zoo eval mnist-resnet8 --shard 1/4 --out shard-1/   # then: zoo merge shard-*/ --out run/',
    ],
  )
    .argument('<model>', 'a zoo name, a path of an .onnx file or an https URL')
    .option('--data <data>', 'a data set (mnist, cifar10:train), a folder with labels.csv, or an .npz file')
    .option('--battery <id>', 'which attacks: a battery of the zoo or a .json file', 'quick')
    .option('--norm <norm>', 'linf, l2 or l1', oneOf('linf', 'l2', 'l1'))
    .option('--eps <eps>', 'size of the perturbation as a fraction of [0,1], such as 8/255', checkedEps)
    .option('--limit <n>', 'only the first N images', positive)
    .option('--seed <seed>', 'of all randomness', natural, 0)
    .option('--shard <i/n>', 'do only this part; zoo merge joins the parts', shard)
    .option('--out <dir>', 'keep the ledger here; the same command again resumes')
    .option('--provider <provider>', 'cpu, cuda or webgpu', oneOf('cpu', 'cuda', 'webgpu'), 'cpu')
    .option('--jobs <n>', 'processes; default: measured', positive)
    .option('--threads <n>', 'threads in each process; default: measured', positive)
    .option(
      '--output-kind <kind>',
      'what the model puts out: auto, logits, log-probabilities or probabilities',
      oneOf('auto', 'logits', 'log-probabilities', 'probabilities'),
    )
  return transferOptions(withInputOptions(evaluation)).action(async (spec: string, options: Options) => {
    const out = io(options)
    const client = clientFor(options, out)
    if (options.shard && !options.out)
      throw new ZooError('usage', 'a shard without --out would be lost', { hint: 'give --out DIR' })
    const battery = readBattery(options.battery)
    const model = await modelArgument(client, spec)
    const data = options.data ?? model.manifest?.dataset
    if (data === undefined)
      throw new ZooError('usage', `which images? ${spec} has no manifest that says`, {
        hint: 'give --data: a data set such as cifar10, a folder with labels.csv, or an .npz file',
      })
    const sources: Record<string, ModelAtHand> = {}
    for (const entry of battery.attacks)
      if ('source' in entry && entry.source) sources[entry.source] = await modelArgument(client, entry.source)
    const finished = await evaluate(
      {
        ...options,
        model,
        manifest: model.manifest,
        input: inputFrom(options, model.manifest?.input),
        data: await dataArgument(client, data),
        battery,
        sources,
      },
      out.progress,
    )
    if (finished) out.answer(finished.result, (result) => describeResult(result, options.out))
    else {
      const part = { shard: options.shard, out: options.out }
      out.answer(
        part,
        () => `shard ${options.shard!.index} of ${options.shard!.count} is done; join all with zoo merge`,
      )
    }
  })
}

function checkedEps(text: string): string {
  parseEps(text)
  return text
}

function shard(text: string): { index: number; count: number } {
  const [index, count] = text.split('/').map(Number)
  if (!/^\d+\/\d+$/.test(text) || index! < 1 || index! > count!)
    throw new InvalidArgumentError('give I/N with I from 1 to N, such as 2/4.')
  return { index: index!, count: count! }
}

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Provider } from '../../converters/onnx/runtime/session.ts'
import { readRecipe } from '../../manifests/recipes/read.ts'
import type { Recipe } from '../../manifests/schema/recipe.ts'
import { BACKENDS, type Backend } from '../../trainer/engines/open.ts'
import type { Origin } from '../../trainer/origin.ts'
import { train } from '../../trainer/train.ts'
import { type InputFlags, inputFrom, withInputOptions } from '../input-options.ts'
import { stoppable } from '../interrupt.ts'
import { modelArgument } from '../model-argument.ts'
import { natural } from '../option-values.ts'
import { io, zooCommand } from '../output.ts'
import type { Client } from '../registry/client.ts'
import { openData } from '../registry/data.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'

interface TrainFlags extends TransferOptions, InputFlags {
  readonly out: string
  readonly from?: string
  readonly seed?: number
  readonly backend: Backend
  readonly provider?: Provider
  readonly processes?: number | 'auto'
}

export const backendOption = new Option('--backend <backend>', 'where to compute')
  .choices(BACKENDS)
  .default('auto', 'auto, the best that works here: see zoo doctor')

export function command(): Command {
  const training = zooCommand('train', 'Train a classifier by a recipe; the same command again resumes', [
    'zoo train mnist-demo-advbn --out runs/mnist',
    'zoo train my-recipe.json --out runs/mine --backend cuda',
    'zoo train mnist-advbn --out runs/mnist-seed-1 --seed 1',
    'zoo train harden.json --out runs/hardened --from classifier.onnx --range 0,255',
  ])
    .argument('<recipe>', 'a recipe of the zoo by name, or a .json file')
    .requiredOption('--out <folder>', 'the folder of the run: checkpoints, history, report')
    .option('--from <model>', 'start from a run, a zoo model, an .onnx file or an https URL')
    .option(
      '--seed <seed>',
      'of all randomness, in place of the recipe’s: for several models of one recipe',
      natural,
    )
    .addOption(backendOption)
    .addOption(
      new Option('--provider <provider>', 'where the backend ort computes (default: cpu)').choices([
        'cpu',
        'cuda',
        'webgpu',
      ]),
    )
  training.option(
    '--processes <n>',
    'processes that share every batch, with norms of their own; auto: more than one where that is faster',
    processCount,
  )
  return transferOptions(withInputOptions(training)).action(async (name: string, options: TrainFlags) => {
    const out = io(options)
    const client = clientFor(options, out)
    const from = options.from === undefined ? undefined : await originOf(client, options.from, options)
    const summary = await stoppable((signal) =>
      train(
        withSeed(readRecipe(name), options.seed),
        {
          out: options.out,
          from,
          backend: options.backend,
          provider: options.provider,
          processes: options.processes,
          open: (data) => openData(client, data),
          signal,
        },
        out.progress,
      ),
    )
    out.answer(summary, ({ recipe, steps, backend, processes, seconds, finished, figures }) => {
      const rows = Object.entries(figures).map(
        ([what, value]) => `${what.padEnd(18)}${Number(value.toPrecision(4))}`,
      )
      return [
        `${recipe}: ${steps} steps on ${backend}${processes > 1 ? ` in ${processes} processes` : ''}, ${Math.round(seconds)} s`,
        ...(finished === undefined ? [] : [`ended early: ${finished}`]),
        ...rows,
        `next: zoo export ${options.out} -o ${recipe}.onnx`,
      ].join('\n')
    })
  })
}

function processCount(text: string): number | 'auto' {
  if (text === 'auto') return text
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('give a number, or auto.')
  return count
}

const withSeed = (recipe: Recipe, seed: number | undefined): Recipe =>
  seed === undefined ? recipe : { ...recipe, seed }

/** A run's folder as it is; anything else is a model, with what flags or its manifest say of its images. */
async function originOf(client: Client, spec: string, flags: InputFlags): Promise<Origin> {
  if (existsSync(join(spec, 'run.json'))) return { path: spec }
  const { path, manifest } = await modelArgument(client, spec)
  return { path, input: inputFrom(flags, manifest?.input) }
}

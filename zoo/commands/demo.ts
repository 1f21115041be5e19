import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Backend } from '../../trainer/engines/open.ts'
import { type DemoReport, demo } from '../demo.ts'
import { io, zooCommand } from '../output.ts'
import { clientFor, type TransferOptions, transferOptions } from '../transfer-options.ts'
import { backendOption } from './train.ts'

interface Options extends TransferOptions {
  readonly out?: string
  readonly backend: Backend
  readonly short?: boolean
}

export function command(): Command {
  const demonstration = zooCommand(
    'demo',
    'The whole pipeline on real images: train, export, publish, attack, rank',
    ['zoo demo', 'zoo demo --out /tmp/demo --json'],
  )
    .option('--out <dir>', 'where the models, ledgers and the leaderboard are kept (default: zoo-demo)')
    .addOption(backendOption)
    .option('--short', 'see that everything works in a minute or two; the models are too young to be judged')
  return transferOptions(demonstration).action(async (options: Options) => {
    const out = io(options)
    const report = await demo(clientFor(options, out), out, {
      out: resolve(options.out ?? (options.short ? 'zoo-demo-short' : 'zoo-demo')),
      short: options.short === true,
      backend: options.backend,
    })
    out.answer(report, describe)
  })
}

function describe({ eps, images, models, leaderboard }: DemoReport): string {
  const width = Math.max(...models.map(({ model }) => model.length))
  const row = (name: string, clean: string, robust: string) =>
    `${name.padEnd(width)}  ${clean.padStart(8)}  ${robust.padStart(8)}`
  return [
    '',
    `${images} images that neither model was trained on; PGD may change each pixel by ${eps} of its range.`,
    '',
    row('model', 'clean', 'robust'),
    ...models.map(({ model, clean, robust }) =>
      row(model, percent(clean.accuracy), percent(robust.accuracy)),
    ),
    '',
    `Leaderboard: ${leaderboard.page}`,
  ].join('\n')
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

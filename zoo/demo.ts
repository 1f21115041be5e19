import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { evaluate } from '../evaluator/evaluate.ts'
import { buildLeaderboard } from '../evaluator/leaderboard/build.ts'
import { readBattery } from '../manifests/batteries/read.ts'
import { ZooError } from '../manifests/error.ts'
import { readRecipe } from '../manifests/recipes/read.ts'
import type { Recipe } from '../manifests/schema/recipe.ts'
import type { Result } from '../manifests/schema/result.ts'
import type { Backend } from '../trainer/engines/open.ts'
import { exportRun, writeExport } from '../trainer/export.ts'
import { train } from '../trainer/train.ts'
import { stoppable } from './interrupt.ts'
import { modelCards } from './model-cards.ts'
import type { Io } from './output.ts'
import type { Client } from './registry/client.ts'
import { openData, pullData } from './registry/data.ts'
import { pullModel } from './registry/pull.ts'
import { pushModel } from './registry/push.ts'
import { parseReference } from './registry/reference.ts'

/** The two models of the demo: the same network on the same images, with and without an adversary in training. */
const RECIPES = ['mnist-demo-clean', 'mnist-demo-advbn']

/** A tenth of a pixel's range: hardly seen on a digit. */
const EPS = 0.1

const IMAGES = 1000

/** A run to see that everything works, in a fraction of the time: its models are too young to be judged. */
const SHORT = { images: 100, steps: 40 }

export interface DemoOptions {
  /** Where everything that the demo makes is kept. */
  readonly out: string
  readonly short: boolean
  /** Where the training computes. */
  readonly backend: Backend
}

export interface DemoEntry {
  readonly model: string
  /** Where the registry's copy lies, after the working copy was removed. */
  readonly path: string
  readonly clean: Result['clean']
  readonly robust: Result['robust']
  readonly ledger: string
}

export interface DemoReport {
  readonly eps: number
  readonly images: number
  readonly models: readonly DemoEntry[]
  /** Seconds that each stage took. */
  readonly seconds: Readonly<Record<string, number>>
  readonly leaderboard: { readonly page: string; readonly document: string }
}

/**
 * The whole pipeline on real images: data, two trainings, export, publication, evaluation, leaderboard.
 * A second run in the same folder goes on where the first stopped, and downloads nothing.
 *
 * @throws ZooError `check-failed` unless the adversarially trained model holds where the other breaks; what any stage throws
 */
export async function demo(
  client: Client,
  io: Io,
  { out, short, backend }: DemoOptions,
): Promise<DemoReport> {
  const seconds: Record<string, number> = {}
  const timed = async <T>(stage: string, job: () => Promise<T>): Promise<T> => {
    io.note(`• ${stage}`)
    const began = performance.now()
    const result = await job()
    seconds[stage] = Math.round((performance.now() - began) / 100) / 10
    return result
  }
  const images = short ? SHORT.images : IMAGES
  const data = await timed('get MNIST', () => pullData(client, 'mnist'))
  const open = (spec: string) => openData(client, spec)
  const models: DemoEntry[] = []
  const evaluated: { name: string; sha256: string }[] = []
  for (const name of RECIPES) {
    const recipe = shortened(readRecipe(name), short)
    const run = join(out, 'runs', name)
    const working = join(out, 'models', name, `${name}.onnx`)
    const ledger = join(out, 'ledgers', name)
    await timed(`train ${name}`, () =>
      stoppable((signal) => train(recipe, { out: run, backend, signal, open }, io.progress)),
    )
    await timed(`export ${name}`, async () => writeExport(await exportRun(run, { backend, open }), working))
    const pulled = await timed(`publish ${name} and pull it back`, async () => {
      const { digest } = await pushModel(client, working, { force: true })
      await rm(dirname(working), { recursive: true })
      return pullModel(client, parseReference(`${name}@${digest}`))
    })
    const finished = await timed(`attack ${name}`, () =>
      evaluate(
        {
          model: { name, path: pulled.path, sha256: pulled.sha256 },
          manifest: pulled.manifest,
          data: data.folder,
          battery: readBattery('madry'),
          norm: 'linf',
          eps: EPS,
          limit: images,
          seed: 0,
          provider: 'cpu',
          out: ledger,
        },
        io.progress,
      ),
    )
    const { clean, robust } = finished!.result
    evaluated.push({ name, sha256: pulled.sha256 })
    models.push({ model: name, path: pulled.path, clean, robust, ledger })
  }
  const board = await timed('build the leaderboard', async () =>
    buildLeaderboard(
      models.map(({ ledger }) => ledger),
      { out: join(out, 'leaderboard'), models: await modelCards(client, evaluated) },
    ),
  )
  if (!short) checkRobustness(models)
  return {
    eps: EPS,
    images,
    models,
    seconds,
    leaderboard: { page: board.tracks[0]!.page, document: board.tracks[0]!.path },
  }
}

function shortened(recipe: Recipe, short: boolean): Recipe {
  return short ? { ...recipe, duration: { steps: SHORT.steps } } : recipe
}

/** What the demo claims must hold on this machine, today, or the demo has failed. */
function checkRobustness([standard, adversarial]: readonly DemoEntry[]): void {
  if (standard!.robust.accuracy < 0.5 && adversarial!.robust.accuracy > 0.8) return
  throw new ZooError(
    'check-failed',
    `under attack ${standard!.model} keeps ${standard!.robust.accuracy} and ${adversarial!.model} ${adversarial!.robust.accuracy}; expected below 0.5 and above 0.8`,
    { hint: 'please report it with the ledgers in the demo’s folder' },
  )
}

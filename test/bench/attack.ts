/**
 * `npm run bench:attack [-- --model MODEL.onnx --data DATA ...]`: what attacks cost on this machine's CPU.
 *
 * First, one step of PGD over one run of its gradient graph, on the same batch, interleaved, as the minimum of several
 * rounds: what the loop around the model adds; CPU time beside, for machines whose cores are shared. Then, where a model and data are given with the flags of `zoo eval`, the
 * whole of AutoAttack, in as many processes as there are cores, and, where Python can import torch and an AutoAttack
 * (`PYTHON` names it; the package `autoattack` or `torchattacks`), the same in PyTorch on the same images.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { openData } from '../../converters/data/open.ts'
import { type Classifier, prepareClassifier } from '../../converters/onnx/classifier.ts'
import { writeModel } from '../../converters/onnx/file.ts'
import { NORMS } from '../../converters/perturb/norms.ts'
import { uniforms } from '../../converters/perturb/random.ts'
import type { Example, Task } from '../../evaluator/attacks/attack.ts'
import { pgd } from '../../evaluator/attacks/pgd.ts'
import { parseEps } from '../../evaluator/eps.ts'
import { evaluate } from '../../evaluator/evaluate.ts'
import { keepBooks } from '../../evaluator/protocol/books.ts'
import { classifierAt, openAttackedModel } from '../../evaluator/protocol/onnx-model.ts'
import { readBattery } from '../../manifests/batteries/read.ts'
import { silent } from '../../manifests/progress.ts'
import { inputSchema } from '../../manifests/schema/input.ts'
import { dataArgument } from '../../zoo/data-argument.ts'
import { inputFrom, withInputOptions } from '../../zoo/input-options.ts'
import { modelArgument } from '../../zoo/model-argument.ts'
import { openClient } from '../../zoo/registry/client.ts'
import { BENCH_MODELS } from './models.ts'

const ROUNDS = Number(process.env.ROUNDS ?? 5)
const STEPS = 5
const threads = availableParallelism()
const line = (text: string) => process.stdout.write(`${text}\n`)

async function main(): Promise<void> {
  const program = withInputOptions(new Command())
    .option('--model <path>')
    .option('--data <data>')
    .option('--eps <eps>', '', '8/255')
    .option('--limit <n>', '', Number, 32)
    .argument('[names...]', 'models of the step benchmark')
    .parse()
  const { args } = program
  const options: Options = program.opts()
  line(`${cpus()[0]?.model.trim()}, ${threads} threads`)
  if (options.model === undefined) {
    line(
      `\nPGD's step over its gradient graph's own time, minima of ${ROUNDS} interleaved rounds of ${STEPS} steps\n`,
    )
    line(
      '| model | batch | gradient, ms | PGD step, ms | ratio | gradient, CPU ms | PGD step, CPU ms | ratio |',
    )
    line(`|${'---|'.repeat(8)}`)
    for (const { name, batch, size, build } of BENCH_MODELS)
      if (args.length === 0 ? name !== 'ResNet-50' : args.includes(name))
        line(await stepRow(name, await prepareClassifier(build(), { batch }), batch, size))
  } else await compareAutoAttack(options)
}

async function stepRow(name: string, classifier: Classifier, batch: number, side: number): Promise<string> {
  const settings = {
    input: inputSchema.parse({}),
    outputKind: 'auto',
    batch,
    threads,
    provider: 'cpu',
  } as const
  const model = await openAttackedModel({ ...classifier, shape: [3, side, side] }, settings)
  const size = 3 * side * side
  const x = uniforms([1], batch * size)
  const labels = new Int32Array(batch)
  const examples = Array.from({ length: batch }, (_, row): Example => {
    const origin = x.subarray(row * size, (row + 1) * size)
    return { row, origin, label: 0, target: null, eps: 8 / 255, key: [row] }
  })
  const task: Task = {
    examples,
    norm: NORMS.linf,
    shape: [3, side, side],
    classes: model.classes,
    turn: 0,
    restart: 0,
    stopWhenBroken: true,
  }
  const attack = pgd({
    loss: 'ce',
    iterations: [STEPS],
    step: 0.25,
    schedule: 'constant',
    start: 'clean',
    momentum: 0,
    score: 'final',
  })
  const runs = {
    own: async () => {
      for (let step = 0; step < STEPS; step++) await model.gradient({ x, labels, targets: labels }, 'ce')
    },
    // The final iterate's judgement is no part of a step.
    pgd: () =>
      attack(task, { ...keepBooks(task, model), submit: async (queries) => queries.map(() => false) }),
  }
  const wall = { own: Number.POSITIVE_INFINITY, pgd: Number.POSITIVE_INFINITY }
  const cpu = { ...wall }
  for (let round = 0; round <= ROUNDS; round++)
    for (const kind of ['own', 'pgd'] as const) {
      const began = performance.now()
      const used = process.cpuUsage()
      await runs[kind]()
      const { user, system } = process.cpuUsage(used)
      if (round === 0) continue
      wall[kind] = Math.min(wall[kind], (performance.now() - began) / STEPS)
      cpu[kind] = Math.min(cpu[kind], (user + system) / 1000 / STEPS)
    }
  await model.release()
  const cells = [wall, cpu].flatMap(({ own, pgd }) => [
    own.toFixed(1),
    pgd.toFixed(1),
    (pgd / own).toFixed(3),
  ])
  return `| ${[name, batch, ...cells].join(' | ')} |`
}

type Options = Parameters<typeof inputFrom>[0] & {
  readonly model?: string
  readonly data?: string
  readonly eps: string
  readonly limit: number
}

interface Outcome {
  readonly name: string
  readonly seconds: number
  readonly robust: number
}

async function compareAutoAttack(options: Options): Promise<void> {
  const client = openClient()
  const model = await modelArgument(client, options.model!)
  const input = inputFrom(options, model.manifest?.input) ?? inputSchema.parse({})
  const data = await dataArgument(client, options.data ?? model.manifest!.dataset)
  const { limit, eps } = options
  line(`\nAutoAttack, Linf ${eps}, on ${limit} images, standard version\n`)
  line('| | seconds | robust accuracy |\n|---|---|---|')
  const began = performance.now()
  const evaluation = await evaluate(
    {
      model,
      input,
      data,
      battery: { ...readBattery('autoattack'), checks: 0 },
      norm: 'linf',
      eps,
      limit,
      seed: 0,
      provider: 'cpu',
    },
    silent,
  )
  const own: Outcome = {
    name: 'zoo eval',
    seconds: (performance.now() - began) / 1000,
    robust: evaluation!.result.robust.accuracy,
  }
  line(row(own))
  const other = await pytorch(
    await classifierAt(model.path, { input, outputKind: 'auto' }),
    data,
    input,
    limit,
    eps,
  )
  if (other) line(`${row(other)}\n\nratio ${(own.seconds / other.seconds).toFixed(2)}`)
  else line('\nNo Python with torch and an AutoAttack here (set PYTHON).')
}

const row = ({ name, seconds, robust }: Outcome): string =>
  `| ${name} | ${seconds.toFixed(1)} | ${(100 * robust).toFixed(1)} % |`

/** The same images through the same graph in PyTorch; null where that isn't installed. */
async function pytorch(
  classifier: Classifier,
  data: string,
  input: ReturnType<typeof inputSchema.parse>,
  limit: number,
  eps: string,
): Promise<Outcome | null> {
  const dir = await mkdtemp(join(tmpdir(), 'zoo-bench-'))
  try {
    await writeModel(classifier.model, join(dir, 'model.onnx'))
    const images = await openData(data, { size: input.size, resize: input.resize })
    const batch = await images.read(Array.from({ length: limit }, (_, i) => i))
    await writeFile(join(dir, 'x.f32'), batch.images)
    await writeFile(
      join(dir, 'y.i32'),
      batch.labels.map((label) => label + input.labelOffset),
    )
    const script = fileURLToPath(new URL('./attack.py', import.meta.url))
    const args = [script, dir, classifier.shape.join(','), String(parseEps(eps)), String(threads)]
    const python = spawn(process.env.PYTHON ?? 'python3', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    python.stdout.on('data', (text) => {
      said += text
    })
    const code = await new Promise((resolve) => python.on('error', () => resolve(1)).on('exit', resolve))
    return code === 0 ? (JSON.parse(said) as Outcome) : null
  } finally {
    await rm(dir, { recursive: true })
  }
}

await main()

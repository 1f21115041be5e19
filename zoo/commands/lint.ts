import { styleText } from 'node:util'
import { type Command, Option } from 'commander'
import type { OutputKind } from '../../converters/onnx/classifier/output-kind.ts'
import type { Finding, Severity } from '../../converters/onnx/lint/finding.ts'
import { type LintReport, lint } from '../../converters/onnx/lint/lint.ts'
import { type StartingManifest, startingManifest } from '../../converters/onnx/lint/manifest.ts'
import { writeJsonAtomic } from '../../manifests/atomic.ts'
import { EXIT_CODES } from '../../manifests/error.ts'
import { type InputFlags, inputFrom, withInputOptions } from '../input-options.ts'
import { io, zooCommand } from '../output.ts'

interface Options extends InputFlags {
  readonly json?: boolean
  readonly writeManifest?: string
  readonly outputKind: OutputKind | 'auto'
  readonly input?: string
  readonly output?: string
}

export function command(): Command {
  const lint = zooCommand(
    'lint',
    'Say what would make an evaluation wrong or impossible, before any attack',
    [
      'zoo lint model.onnx',
      'zoo lint model.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
      'zoo lint model.onnx --write-manifest manifest.json',
    ],
  )
    .argument('<model>', 'an .onnx classifier')
    .option('--write-manifest <file>', 'write a manifest to start from, its guesses named')
    .addOption(
      new Option('--output-kind <kind>', "what the model's output is")
        .choices(['auto', 'logits', 'log-probabilities', 'probabilities'])
        .default('auto'),
    )
    .option('--input <name>', 'the image input, where there are several')
    .option('--output <name>', 'the output with the class scores, where there are several')
  return withInputOptions(lint)
    .addHelpText(
      'after',
      '\nExit code 3 if something makes an evaluation impossible, 0 with warnings or none.',
    )
    .action(run)
}

async function run(path: string, options: Options): Promise<void> {
  const out = io(options)
  const input = inputFrom(options)
  const { report, subject } = await lint(path, {
    outputKind: options.outputKind,
    ...(input && { input }),
    ...(options.input !== undefined && { inputName: options.input }),
    ...(options.output !== undefined && { outputName: options.output }),
  })
  const written = options.writeManifest
    ? { path: options.writeManifest, ...(await startingManifest(subject, report)) }
    : undefined
  if (written) await writeJsonAtomic(written.path, written.manifest)
  out.answer(
    { ...report, ...(written && { manifest: { path: written.path, guessed: written.guessed } }) },
    () => [...described(report), ...(written ? wrote(written) : [])].join('\n'),
  )
  if (!report.passed) process.exitCode = EXIT_CODES['check-failed']
}

const COLOURS = { error: 'red', warning: 'yellow', note: 'cyan' } as const

function described(report: LintReport): string[] {
  const { opsets, irVersion, producer, nodes, parameters, input, output, batch, guesses, findings } = report
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`)
  const shape = input?.shape.map((dim) => dim ?? '?').join(', ')
  const { layout, channels, size, range } = guesses
  const guessed = [layout, channels, size?.join('x'), range && `range [${range.join(', ')}]`].filter(Boolean)
  return [
    report.path,
    `  file      IR version ${irVersion}, ${versions.join(', ')}${producer && `, by ${producer}`}`,
    `  graph     ${nodes} nodes, ${parameters.toLocaleString('en')} parameters`,
    ...(input ? [`  input     ${input.name} ${input.dtype} [${shape}]`] : []),
    ...(output ? [`  output    ${output.classes} classes, ${output.kind}`] : []),
    ...(batch === undefined ? [] : [`  batch     ${batch ?? 'any size'}`]),
    ...(guessed.length > 0 ? [`  guesses   ${guessed.join(', ')}`] : []),
    `  operators ${report.operators.map(({ operator, count }) => `${operator} ${count}`).join(', ')}`,
    ...(findings.length > 0 ? ['', ...findings.flatMap(lines)] : []),
    '',
    verdict(report),
  ]
}

const LISTED = 5

function lines({ severity, check, message, hint, nodes = [] }: Finding): string[] {
  const more = nodes.length > LISTED ? [`and ${nodes.length - LISTED} more`] : []
  return [
    `${coloured(severity)} ${message} [${check}]`,
    ...[...nodes.slice(0, LISTED), ...more].map((node) => `          ${node}`),
    ...(hint ? [`        ${hint}`] : []),
  ]
}

const coloured = (severity: Severity): string => {
  const word = severity.padEnd(7)
  return process.stdout.isTTY && !process.env.NO_COLOR ? styleText(COLOURS[severity], word) : word
}

function verdict({ findings, passed }: LintReport): string {
  const count = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length
  const [errors, warnings] = [count('error'), count('warning')]
  const problems = `${errors} error${errors === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}`
  return passed ? `can be evaluated: ${problems}` : `cannot be evaluated: ${problems}`
}

const wrote = ({ path, guessed }: StartingManifest & { path: string }): string[] => [
  `wrote ${path}; guesses to check: ${guessed.join(', ')}`,
]

import type { Command } from 'commander'
import { examineProviders } from '../../converters/onnx/runtime/providers.ts'
import { examineBackends } from '../../trainer/engines/examine.ts'
import { io, zooCommand } from '../output.ts'

interface Row {
  readonly works: boolean
  readonly detail: string
  readonly hint?: string
}

export function command(): Command {
  return zooCommand('doctor', 'Which backends and providers work here, each proved by a small computation', [
    'zoo doctor',
    'zoo doctor --json',
  ]).action(async (options: { json?: boolean }) => {
    const out = io(options)
    out.progress({ stage: "onnxruntime's providers", done: 0 })
    const providers = await examineProviders()
    out.progress({ stage: "the trainer's backends", done: 0 })
    const backends = await examineBackends()
    const machine = { node: process.version, platform: process.platform, arch: process.arch }
    out.answer({ machine, providers, backends }, () =>
      [
        `Node ${machine.node} on ${machine.platform} ${machine.arch}`,
        '',
        'zoo eval --provider',
        ...providers.map((row) => line(row.provider, row)),
        '',
        'zoo train --backend',
        ...backends.map((row) => line(row.backend, row)),
      ].join('\n'),
    )
  })
}

const line = (name: string, { works, detail, hint }: Row): string =>
  `  ${works ? '✓' : '✗'} ${name.padEnd(8)}${detail}${works || hint === undefined ? '' : ` (${hint})`}`

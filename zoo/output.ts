import { Command } from 'commander'
import type { ZooError } from '../manifests/error.ts'
import type { Progress } from '../manifests/progress.ts'
import { progressOn } from './progress.ts'

/** What a command has besides its own arguments. stdout carries the answer alone; everything else goes to stderr. */
export interface Io {
  readonly json: boolean
  readonly progress: Progress
  /** One line on stderr for a person; nothing under `--json`. */
  note(line: string): void
  /** The answer: one JSON document under `--json`, otherwise text made from it. */
  answer<T>(document: T, text: (document: T) => string): void
}

/** A subcommand with the options that every command has and an example in its help. */
export function zooCommand(name: string, summary: string, examples: readonly string[]): Command {
  const command = new Command(name).description(summary).option('--json', 'print one JSON document on stdout')
  // A group and its subcommand both have --json: what stands after the subcommand's name is the subcommand's.
  return command
    .enablePositionalOptions()
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`)
}

export function io(options: { json?: boolean }): Io {
  const json = options.json === true
  return {
    json,
    progress: progressOn(process.stderr),
    note(line) {
      if (!json) process.stderr.write(`${line}\n`)
    },
    answer(document, text) {
      process.stdout.write(json ? `${JSON.stringify(document, null, 2)}\n` : `${text(document).trimEnd()}\n`)
    },
  }
}

/** One readable line, what to do about it, and under `--json` a document with the code as well. */
export function printFailure(error: ZooError, json: boolean): void {
  const { code, message, hint } = error
  process.stderr.write(`zoo: ${message} [${code}]\n`)
  if (hint) process.stderr.write(`     ${hint}\n`)
  if (process.env.ZOO_DEBUG && error.stack)
    process.stderr.write(
      `${error.stack}\n${error.cause ? `cause: ${String((error.cause as Error).stack ?? error.cause)}\n` : ''}`,
    )
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } }, null, 2)}\n`)
}

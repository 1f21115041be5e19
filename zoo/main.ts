import { Command, CommanderError } from 'commander'
import { asZooError, EXIT_CODES } from '../manifests/error.ts'
import { packageVersion } from '../manifests/package.ts'
import { COMMANDS } from './commands.ts'
import { causeOf, handleInterrupts } from './interrupt.ts'
import { printFailure } from './output.ts'

/** The command line. A command's module loads only when it is called, so `zoo --help` stays instant. */
async function main(argv: readonly string[]): Promise<number> {
  const program = throwing(new Command('zoo'))
    .description('How robust is this image classifier, really?')
    .version(packageVersion())
    .addHelpText('after', '\nStart with `zoo demo`: the whole pipeline on real images, in a few minutes.')
  const called = argv.find((word) => !word.startsWith('-'))
  for (const { name, summary, load } of COMMANDS) {
    if (name === called) program.addCommand(throwing((await load()).command()))
    else program.command(name, { hidden: false }).description(summary)
  }
  try {
    await program.parseAsync(argv as string[], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_CODES.usage
    const failure = causeOf(asZooError(error))
    printFailure(failure, argv.includes('--json'))
    return failure.exitCode
  }
}

/**
 * Makes a command and its subcommands throw their usage errors, so that `main` alone decides the exit code. Options
 * after a subcommand's name are the subcommand's, also where its group has them too.
 */
function throwing(command: Command): Command {
  for (const subcommand of command.commands) throwing(subcommand as Command)
  return command
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(zoo --help lists the commands, zoo COMMAND --help explains one)')
}

handleInterrupts()
process.exitCode = await main(process.argv.slice(2))

import { type Command, Option } from 'commander'
import { VERIFY_MODES, type VerifyMode } from '../manifests/schema/trust.ts'
import type { Io } from './output.ts'
import { type Client, openClient } from './registry/client.ts'
import { readSettings } from './registry/settings.ts'

/** Options of every command that may download. */
export interface TransferOptions {
  readonly json?: boolean
  readonly offline?: boolean
  readonly mirror?: string[]
  readonly endpoint?: string
  readonly verify?: VerifyMode
}

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value]

export const transferOptions = (command: Command): Command =>
  command
    .option('--offline', 'use only what is on this machine (ZOO_OFFLINE)')
    .option('--mirror <place>', 'a URL or folder to try first; may be repeated (ZOO_MIRRORS)', collect)

export const endpointOption = (command: Command): Command =>
  command.option(
    '--endpoint <registry>',
    'HOST/PREFIX of a registry, or a folder with an OCI layout (ZOO_ENDPOINT)',
  )

export const verifyOption = (command: Command): Command =>
  command.addOption(
    new Option(
      '--verify <mode>',
      'what a missing or unknown signature means (ZOO_VERIFY; default warn)',
    ).choices(VERIFY_MODES),
  )

export const clientFor = (options: TransferOptions, io: Io): Client =>
  openClient({ settings: readSettings(options), progress: io.progress, note: (line) => io.note(line) })

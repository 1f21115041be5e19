import type { Command } from 'commander'
import { io, zooCommand } from '../output.ts'
import { forgetCredential } from '../registry/oci/credentials.ts'
import { clientFor, type TransferOptions } from '../transfer-options.ts'

export function command(): Command {
  return zooCommand('logout', 'Forget the token of a registry', ['zoo logout registry.example'])
    .argument('<host>', 'HOST[:PORT]')
    .action(async (host: string, options: TransferOptions) => {
      const out = io(options)
      const forgotten = await forgetCredential(clientFor(options, out).settings, host)
      out.answer({ host, forgotten }, () =>
        forgotten ? `forgot the token of ${host}` : `there was no token for ${host}`,
      )
    })
}

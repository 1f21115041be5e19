import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { ZooError } from '../../manifests/error.ts'
import { io, zooCommand } from '../output.ts'
import { Connection } from '../registry/oci/connection.ts'
import { credential, forgetCredential, storeCredential } from '../registry/oci/credentials.ts'
import { clientFor, type TransferOptions } from '../transfer-options.ts'

interface LoginOptions extends TransferOptions {
  readonly username?: string
}

export function command(): Command {
  return zooCommand('login', 'Keep a token for a registry, in a file that only you can read', [
    'zoo login registry.example < token.txt',
    'zoo login registry.example --username ali',
  ])
    .argument('<host>', 'HOST[:PORT]; the token is sent to no other')
    .option('--username <name>', 'a user, for registries that want a name with the password')
    .action(async (host: string, options: LoginOptions) => {
      const out = io(options)
      const { settings, ...client } = clientFor(options, out)
      const secret = (await (process.stdin.isTTY ? prompt(`token for ${host}: `) : readAll())).trim()
      if (secret === '')
        throw new ZooError('usage', 'no token came in', { hint: `zoo login ${host} < token.txt` })
      await storeCredential(settings, host, credential(secret, options.username))
      try {
        const response = await new Connection({ settings, ...client }, host).request('', '/v2/')
        await response.body.dump()
      } catch (error) {
        if (error instanceof ZooError && error.code === 'authorisation')
          await forgetCredential(settings, host)
        throw error
      }
      out.answer({ host, loggedIn: true }, () => `logged in to ${host}`)
    })
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Asks on the terminal without showing what is typed. */
function prompt(question: string): Promise<string> {
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  return new Promise((resolve, reject) => {
    terminal.once('SIGINT', () => reject(new ZooError('interrupted', 'interrupted')))
    terminal.question('', (answer) => {
      terminal.close()
      process.stderr.write('\n')
      resolve(answer)
    })
  })
}

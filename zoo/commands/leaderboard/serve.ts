import { once } from 'node:events'
import { type Command, InvalidArgumentError } from 'commander'
import { serveBoard } from '../../../evaluator/leaderboard/serve.ts'
import { io, zooCommand } from '../../output.ts'

export const serveCommand = (): Command =>
  zooCommand('serve', 'Show a built board in the browser, on this machine only', [
    'zoo leaderboard serve board',
  ])
    .argument('<dir>', 'the board’s folder')
    .option('--port <number>', '0 takes a free one', port, 8080)
    .action(async (dir: string, options: { port: number; json?: boolean }) => {
      const { answer } = io(options)
      const { server, url } = await serveBoard(dir, options.port)
      answer({ url }, () => `${url}\nStop with Ctrl-C.`)
      await once(server, 'close')
    })

function port(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 0 || number > 65535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535')
  return number
}

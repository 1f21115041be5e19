import type { Command } from 'commander'
import { io, zooCommand } from '../output.ts'
import { registries } from '../registry/endpoints.ts'
import { clientFor, endpointOption, type TransferOptions } from '../transfer-options.ts'

interface ListOptions extends TransferOptions {
  readonly remote?: boolean
}

export function command(): Command {
  const list = zooCommand('list', 'The models in your own registry and in the one that ships with the zoo', [
    'zoo list',
    'zoo list --remote --endpoint registry.example/zoo',
  ]).option('--remote', "the endpoint's models too")
  return endpointOption(list).action(async (options: ListOptions) => {
    const out = io(options)
    const client = clientFor(options, out)
    const places = registries(client).slice(0, options.remote ? undefined : 2)
    const listed = await Promise.all(
      places.map(async (registry) =>
        (await registry.list()).map((model) => ({ ...model, registry: registry.place })),
      ),
    )
    out.answer(listed.flat(), (models) =>
      models.length === 0
        ? 'no models yet: zoo push publishes one, --remote lists the endpoint'
        : models.map(({ name, tags }) => `${name.padEnd(32)}  ${tags.join(' ')}`).join('\n'),
    )
  })
}

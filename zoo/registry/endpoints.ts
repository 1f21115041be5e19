import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { ZooError } from '../../manifests/error.ts'
import type { Client } from './client.ts'
import type { Descriptor } from './oci/descriptor.ts'
import { DistributionRegistry } from './oci/distribution.ts'
import { LayoutRegistry } from './oci/layout.ts'
import type { Registry } from './oci/registry.ts'
import { printReference, type Reference } from './reference.ts'
import type { Settings } from './settings.ts'

/** The models that ship with the zoo, read only. */
export const embedded = ({ shipped }: Settings): LayoutRegistry => new LayoutRegistry(join(shipped, 'oci'))

/** An endpoint is a folder with an OCI layout (`./folder`, `/folder`), or the host and prefix of a registry. */
export function openRegistry(client: Client, endpoint: string): Registry {
  if (isAbsolute(endpoint) || endpoint.startsWith('.') || existsSync(join(endpoint, 'oci-layout')))
    return new LayoutRegistry(endpoint)
  const place = endpoint.replace(/^oci:\/\//, '')
  if (/^(localhost|[\w-]+(\.[\w-]+)+|\[[\da-f:]+\])(:\d+)?(\/[a-z0-9._-]+)*\/*$/.test(place))
    return new DistributionRegistry(client, place)
  throw new ZooError('usage', `${endpoint} is not a registry`, {
    hint: 'an endpoint is HOST[:PORT][/PREFIX], or a folder that begins with / or .',
  })
}

/** Where names are looked up, in order: the user's own registry, the models that ship with the zoo, the endpoint. */
export function registries(client: Client): Registry[] {
  const { registry, endpoint } = client.settings
  return [
    new LayoutRegistry(registry),
    embedded(client.settings),
    ...(endpoint === undefined ? [] : [openRegistry(client, endpoint)]),
  ]
}

/** Whether only the user or the zoo itself publishes there. */
export const isOwn = (client: Client, { place }: Registry): boolean =>
  place === client.settings.registry || place === embedded(client.settings).place

/**
 * The first registry that has what the reference asks for.
 *
 * @throws ZooError `not-found` naming the models that there are
 */
export async function find(
  places: readonly Registry[],
  reference: Reference,
): Promise<{ registry: Registry; descriptor: Descriptor }> {
  for (const registry of places) {
    const descriptor = await registry.resolve(reference)
    if (descriptor !== undefined) return { registry, descriptor }
  }
  const known = (await Promise.all(places.map((place) => place.list().catch(() => [])))).flat()
  const same = known.find(({ name }) => name === reference.name)
  throw new ZooError('not-found', `no registry has ${printReference(reference)}`, {
    hint: same
      ? `there are ${same.tags.map((tag) => `${same.name}@${tag}`).join(', ')}`
      : known.length > 0
        ? `there are ${[...new Set(known.map(({ name }) => name))].join(', ')}`
        : 'publish one with zoo push, or name a registry with --endpoint (ZOO_ENDPOINT)',
  })
}

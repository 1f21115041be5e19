import type { Client } from '../client.ts'
import type { Scratch } from './scratch.ts'

/** One pull: who does it, where its archives are unpacked, and what stops it. */
export interface Job {
  readonly client: Client
  readonly scratch: Scratch
  readonly signal?: AbortSignal | undefined
}

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { noise, temporaryFolder } from '../help.ts'

/** A file of the right size with other bytes than anybody expects. */
export function path(size: number): string {
  const file = join(temporaryFolder(), 'wrong')
  writeFileSync(file, noise(size, 4711))
  return file
}

import { InvalidArgumentError } from 'commander'

/** Readers of option values, for commander: what they refuse is a usage error that says what is wanted. */

export const oneOf =
  <T extends string>(...choices: T[]) =>
  (text: string): T => {
    if (!choices.includes(text as T)) throw new InvalidArgumentError(`choose one of ${choices.join(', ')}.`)
    return text as T
  }

export function natural(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError('give a whole number from 0 on.')
  return value
}

export function positive(text: string): number {
  const value = natural(text)
  if (value === 0) throw new InvalidArgumentError('give a whole number from 1 on.')
  return value
}

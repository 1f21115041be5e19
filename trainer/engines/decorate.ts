import type { Engine } from './engine.ts'

/** An engine that does some things in another way and leaves the rest to the given one. */
export const decorated = (engine: Engine, changes: Partial<Engine>): Engine =>
  new Proxy(engine, {
    get(target, name) {
      const change = changes[name as keyof Engine]
      if (change !== undefined) return change
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

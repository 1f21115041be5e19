import type { AttackEntry } from '../../manifests/schema/battery.ts'
import { apgd } from './apgd/apgd.ts'
import type { Attack } from './attack.ts'
import { carliniWagner } from './carlini-wagner.ts'
import { deepFool } from './deepfool.ts'
import { fab } from './fab/fab.ts'
import { fmn } from './fmn.ts'
import { hopSkipJump } from './hopskipjump.ts'
import { noise } from './noise.ts'
import { pgd } from './pgd.ts'
import { square } from './square/square.ts'

type EntryOf<K extends AttackEntry['kind']> = Extract<AttackEntry, { kind: K }>

interface Kind<K extends AttackEntry['kind']> {
  /** What it needs of the model. */
  readonly needs: 'gradients' | 'logits' | 'labels'
  /** Whether it stays inside the ball; others look for the smallest perturbation, and may find it outside. */
  readonly bounded: boolean
  /** Calls of the model for one example, at most, in one turn and restart. */
  passes(entry: EntryOf<K>): number
  make(entry: EntryOf<K>): Attack
}

/** Every attack that a battery can name. */
const KINDS: { readonly [K in AttackEntry['kind']]: Kind<K> } = {
  pgd: {
    needs: 'gradients',
    bounded: true,
    passes: ({ iterations }) => Math.max(...[iterations].flat()),
    make: ({ iterations, ...entry }) => pgd({ ...entry, iterations: [iterations].flat() }),
  },
  apgd: {
    needs: 'gradients',
    bounded: true,
    passes: ({ iterations }) => iterations + 1,
    make: apgd,
  },
  fab: {
    needs: 'gradients',
    bounded: false,
    passes: ({ iterations }) => 2 * iterations,
    make: fab,
  },
  square: { needs: 'logits', bounded: true, passes: ({ queries }) => queries, make: square },
  deepfool: {
    needs: 'gradients',
    bounded: false,
    passes: ({ iterations, classes }) => iterations * classes,
    make: deepFool,
  },
  'carlini-wagner': {
    needs: 'gradients',
    bounded: false,
    passes: ({ iterations, searches }) => iterations * searches,
    make: carliniWagner,
  },
  fmn: { needs: 'gradients', bounded: false, passes: ({ iterations }) => iterations + 1, make: fmn },
  hopskipjump: { needs: 'labels', bounded: false, passes: ({ queries }) => queries, make: hopSkipJump },
  noise: { needs: 'logits', bounded: true, passes: ({ draws }) => draws, make: noise },
}

const kindOf = <K extends AttackEntry['kind']>(entry: EntryOf<K>): Kind<K> =>
  KINDS[entry.kind as K] as unknown as Kind<K>

export const attackOf = (entry: AttackEntry): Attack => kindOf(entry).make(entry as never)
export const needsOf = (entry: AttackEntry): Kind<AttackEntry['kind']>['needs'] => kindOf(entry).needs
export const isBounded = (entry: AttackEntry): boolean => kindOf(entry).bounded

/** How many targets the attack walks through, one a turn; 1 if it doesn't. */
export function turnsOf(entry: AttackEntry, classes: number): number {
  if (!('targets' in entry)) return 1
  if (typeof entry.targets === 'number') return Math.min(entry.targets, classes - 1)
  return entry.targets === 'all' || entry.targets === 'likely' ? classes - 1 : 1
}

/** Calls of the model for one example that nothing breaks. */
export const passesOf = (entry: AttackEntry, classes: number): number =>
  kindOf(entry).passes(entry as never) * turnsOf(entry, classes) * entry.restarts

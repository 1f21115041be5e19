import { integers, keyOf } from '../../converters/perturb/random.ts'
import { type Example, type Oracle, predict, type Task } from './attack.ts'

/**
 * How a targeted attack chooses the class it aims at.
 * - `random`: uniform over the wrong classes, drawn once per example and restart
 * - `least-likely`: the smallest logit of the clean image (Kurakin et al. 2017)
 * - `given`: what the data set says
 * - `all`: every wrong class in turn, one a turn
 * - `likely`: the wrong classes from the largest clean logit down, one a turn (as Auto-PGD and FAB do)
 */
export type TargetRule = 'random' | 'least-likely' | 'given' | 'all' | 'likely'

const TARGET = keyOf('target')

/**
 * A target for each of the task's examples. Where a rule has run out of classes, or the data set gives none,
 * an example gets no target and the attack leaves it out.
 */
export async function chooseTargets(
  task: Task,
  oracle: Oracle,
  rule: TargetRule,
): Promise<Map<Example, number>> {
  const { examples, classes, turn } = task
  const targets = new Map<Example, number>()
  const logits =
    rule === 'least-likely' || rule === 'likely'
      ? await oracle.logits(examples.map((example) => ({ example, x: example.origin })))
      : []
  for (const [i, example] of examples.entries()) {
    const target = {
      random: () => skip(integers([...example.key, TARGET], 1, classes - 1)[0]!, example.label),
      given: () => example.target,
      all: () => (turn < classes - 1 ? skip(turn, example.label) : null),
      'least-likely': () => wrongByLogit(logits[i]!, example.label).at(-1)!,
      likely: () => wrongByLogit(logits[i]!, predict(logits[i]!))[turn] ?? null,
    }[rule]()
    if (target !== null && target !== example.label) targets.set(example, target)
  }
  return targets
}

/** The `index`-th class when `label` is left out. */
const skip = (index: number, label: number): number => (index < label ? index : index + 1)

/** All classes but `left`, from the largest logit to the smallest. */
function wrongByLogit(logits: Float32Array, left: number): number[] {
  return Array.from(logits.keys())
    .filter((k) => k !== left)
    .sort((a, b) => logits[b]! - logits[a]!)
}

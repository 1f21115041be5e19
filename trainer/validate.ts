import type { DataSet } from '../converters/data/dataset.ts'
import { Tensor } from '../converters/onnx/tensor.ts'
import { keyOf } from '../converters/perturb/random.ts'
import type { Recipe } from '../manifests/schema/recipe.ts'
import { adversarialImages } from './adversary.ts'
import type { Engine } from './engines/engine.ts'
import { crossEntropy } from './losses.ts'
import { accuracyOf, type Figures } from './methods/method.ts'
import { type Network, objectiveOf } from './network.ts'

export interface Accuracies extends Figures {
  /** On clean images; of the clean branch where there is one. */
  readonly cleanAccuracy: number
  /** Under the recipe's validation attack; of the adversarial branch where there is one. */
  readonly robustAccuracy: number
}

const VALIDATION = keyOf('validation')

/** Measures the network as it would be deployed, by running statistics, on the first examples of the data. */
export function validator(
  network: Network,
  engine: Engine,
  data: DataSet,
  spec: NonNullable<Recipe['validation']>,
  batch: number,
  seed: number,
): () => Promise<Accuracies> {
  const [clean, robust] = [network.branches[0]!, network.branches.at(-1)!].map(
    (branch) => objectiveOf(network, branch, crossEntropy).inference,
  ) as [ReturnType<typeof objectiveOf>['inference'], ReturnType<typeof objectiveOf>['inference']]
  const count = Math.min(spec.examples, data.size)
  return async () => {
    let cleanRight = 0
    let robustRight = 0
    for (let begin = 0; begin < count; begin += batch) {
      const examples = Array.from({ length: Math.min(batch, count - begin) }, (_, i) => begin + i)
      const { images, labels } = await data.read(examples)
      const image = Tensor.float32([examples.length, ...data.shape], images)
      const attacked = await adversarialImages({
        engine,
        form: robust,
        attack: spec.attack,
        images: image,
        labels,
        examples,
        classes: network.classes,
        key: [seed, VALIDATION],
      })
      const answers = await engine.forward(clean, { image }, ['logits'])
      const underAttack = await engine.forward(robust, { image: attacked }, ['logits'])
      cleanRight += accuracyOf(answers.logits!, labels) * examples.length
      robustRight += accuracyOf(underAttack.logits!, labels) * examples.length
    }
    return { cleanAccuracy: cleanRight / count, robustAccuracy: robustRight / count }
  }
}

import { type Command, Option } from 'commander'
import type { OutputKind } from '../../converters/onnx/classifier/output-kind.ts'
import { type Classifier, prepareClassifier } from '../../converters/onnx/classifier.ts'
import { readModel, writeModel } from '../../converters/onnx/file.ts'
import { lossGradient } from '../../converters/onnx/gradient/loss-gradient.ts'
import type { Loss } from '../../converters/onnx/gradient/losses.ts'
import { appliesAnywhere, type Override, straightThrough } from '../../converters/onnx/gradient/overrides.ts'
import { type SelfTest, selfTest } from '../../converters/onnx/gradient/self-test.ts'
import { openChildSession } from '../../converters/onnx/runtime/child.ts'
import { ZooError } from '../../manifests/error.ts'
import { type InputFlags, inputFrom, withInputOptions } from '../input-options.ts'
import { positive } from '../option-values.ts'
import { io, zooCommand } from '../output.ts'

interface Options extends InputFlags {
  readonly json?: boolean
  readonly out: string
  readonly loss: Loss
  readonly batch?: number
  readonly outputKind: OutputKind | 'auto'
  readonly input?: string
  readonly output?: string
  readonly straightThrough?: string[]
  readonly selfTest?: boolean
}

export function command(): Command {
  const gradient = zooCommand(
    'gradient',
    "Write a model's loss and its gradient with respect to the image as ONNX",
    [
      'zoo gradient model.onnx -o gradient.onnx --self-test',
      'zoo gradient model.onnx -o gradient.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --loss dlr',
    ],
  )
    .argument('<model>', 'an .onnx classifier')
    .requiredOption('-o, --out <file>', 'the file to write')
    .addOption(
      new Option('--loss <loss>', 'what an attack increases').choices(['ce', 'dlr', 'margin']).default('ce'),
    )
    .option('--batch <n>', 'fix the batch size', positive)
    .addOption(
      new Option('--output-kind <kind>', "what the model's output is")
        .choices(['auto', 'logits', 'log-probabilities', 'probabilities'])
        .default('auto'),
    )
    .option('--input <name>', 'the image input, where there are several')
    .option('--output <name>', 'the output with the class scores, where there are several')
    .option(
      '--straight-through <node>',
      'take the gradient of this node, or of all nodes of this operator, as if it were the identity; may be repeated',
      (name: string, earlier: string[] = []) => [...earlier, name],
    )
    .option('--self-test', 'compare the gradient with finite differences; exit code 3 if it disagrees')
  return withInputOptions(gradient)
    .addHelpText(
      'after',
      "\nThe graph takes `image` (or the model's own input, without a flag that describes images) and `label`,\n" +
        'and gives `logits`, `loss` and `gradient`. It has standard operators only: any ONNX runtime can run it.',
    )
    .action(run)
}

async function run(path: string, options: Options): Promise<void> {
  if (options.selfTest && options.straightThrough)
    throw new ZooError(
      'usage',
      'finite differences see the true gradient: they cannot check --straight-through',
    )
  const out = io(options)
  const input = inputFrom(options)
  const classifier = await prepareClassifier(await readModel(path), {
    outputKind: options.outputKind,
    open: openChildSession,
    ...(input && { input }),
    ...(options.batch !== undefined && { batch: options.batch }),
    ...(options.input !== undefined && { inputName: options.input }),
    ...(options.output !== undefined && { outputName: options.output }),
  })
  const { image, shape, classes, batch, outputKind } = classifier
  const overrides = (options.straightThrough ?? []).flatMap((name) => straightThroughAt(name, classifier))
  const model = await lossGradient(classifier, {
    loss: options.loss,
    open: openChildSession,
    overrides,
    ...(input?.labelOffset && { labelOffset: input.labelOffset }),
  })
  const tested = options.selfTest
    ? await selfTest(model, {
        image,
        shape,
        batch,
        classes,
        unit: input !== undefined,
        open: openChildSession,
      })
    : undefined
  if (tested && !tested.passed)
    throw new ZooError(
      'check-failed',
      `the gradient disagrees with finite differences: ${described(tested)}`,
      {
        hint: 'nothing was written; please report this model',
      },
    )
  await writeModel(model, options.out)
  const nodes = model.graph.nodes.length
  out.answer(
    {
      path: options.out,
      loss: options.loss,
      input: { name: image, shape: [batch ?? 'batch', ...shape] },
      classes,
      outputKind,
      nodes,
      ...(tested && { selfTest: tested }),
    },
    () =>
      [
        `${options.out}: ${image} [${[batch ?? 'batch', ...shape].join(', ')}] and label -> logits, loss (${options.loss}), gradient`,
        `${classes} classes, the model gives ${outputKind}; ${nodes} nodes`,
        ...(tested ? [`self-test passed: ${described(tested)}`] : []),
      ].join('\n'),
  )
}

/** Of all nodes of this operator, or of the one node of this name. */
function straightThroughAt(name: string, { model }: Classifier): Override[] {
  const overrides = [
    { opType: name, gradient: straightThrough },
    { node: name, gradient: straightThrough },
  ].filter((override) => appliesAnywhere(override, model.graph))
  if (overrides.length === 0)
    throw new ZooError('usage', `the model has no node and no operator "${name}" to go straight through`, {
      hint: 'zoo lint MODEL lists operators and nodes',
    })
  return overrides
}

function described({ along, across, images }: SelfTest): string {
  const percent = (value: number | null): string =>
    value === null ? 'no slope' : `${(value * 100).toPrecision(2)} %`
  return `relative error ${percent(along.relativeError)} along the gradient, ${percent(across.relativeError)} across it, over ${images} images`
}

import type { ModelManifest } from '../../manifests/schema/model.ts'
import type { Export } from '../export.ts'
import type { Parity } from './parity.ts'

/** The model card: what a person should know before using the file. `file` is the model's own name. */
export function modelCard({ manifest, model, parity }: Export, file: string): string {
  const { name, version, description, architecture, branch, classes, recipe } = manifest
  const batch = model.graph.inputs[0]!.dims![0]
  const facts = [
    `- **Architecture**: ${architecture}, ${manifest.parameters} parameters, ${manifest.flops} operations per image, norm: ${manifest.normalisation}`,
    ...(branch === 'main' ? [] : [`- **Branch of the mixture batch norm**: \`${branch}\``]),
    `- **Input**: \`image\`, float32 [${batch}, ${imageShape(manifest)}]: ${inputOf(manifest)}`,
    `- **Output**: \`logits\`, float32 [${batch}, ${classes.length}]`,
    `- **Classes**: ${classes.length <= 20 ? classes.join(', ') : `${classes.length} of them; the file's metadata names them`}`,
    `- **Format**: ONNX, opset ${manifest.opset}; kernels in ${parity.kernels}${parity.kernels === 'float16' ? ', cast to float32 when the file is loaded' : ''}`,
    `- **Trained on**: ${manifest.trainingData}`,
    `- **Recipe**: \`${recipe!.name}\` (sha256 ${recipe!.sha256})`,
    `- **Trained against**: ${threatOf(manifest)}`,
    `- **Licence**: ${manifest.licence}`,
  ]
  return `# ${name} ${version}

${description}

${facts.join('\n')}

## Use

\`\`\`sh
zoo eval ${file}
\`\`\`

Robustness is what an evaluation finds, under the threat and attacks that it names; this card claims none.

## Equality with the trained network

${normOf(manifest)} Compared on ${parity.images} images of ${parity.data}, onnxruntime running this file, the trainer on its backend \`${parity.backend}\`:

${parityTable(parity)}
`
}

const imageShape = ({ input }: Export['manifest']): string =>
  [input.channels === 'grey' ? 1 : 3, ...input.size!].join(', ')

function inputOf({ input }: Export['manifest']): string {
  const { channels, mean, std } = input
  const steps = [
    ...(mean ? [`minus [${mean.join(', ')}]`] : []),
    ...(std ? [`over [${std.join(', ')}]`] : []),
  ]
  return [`${channels} in [0,1]`, ...steps].join(', then ')
}

function threatOf({ threat }: Pick<ModelManifest, 'threat'>): string {
  if (!threat) return 'nothing. It is not robust.'
  return `${threat.norm}, eps ${threat.eps} of a pixel's range${threat.targeted ? ', targeted' : ''}`
}

const normOf = ({ normalisation }: Export['manifest']): string =>
  normalisation === 'batch' || normalisation === 'mixture'
    ? 'Batch norm is folded into the convolutions.'
    : 'Norms are standard ONNX operators.'

function parityTable({ logits, folding, gradient, tolerance }: Parity): string {
  const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const number = (value: number): string => value.toExponential(1)
  return [
    row('difference', 'largest', 'mean', 'allowed', 'images of another class'),
    row('---', '---', '---', '---', '---'),
    row(
      'logits, relative to the largest',
      number(logits.largest),
      number(logits.mean),
      number(tolerance.logits),
      `${logits.otherClass}`,
    ),
    row('of it, by folding', number(folding.largest), number(folding.mean), '', `${folding.otherClass}`),
    row("the loss's gradient, relative, in L2", number(gradient), '', number(tolerance.gradient), ''),
  ].join('\n')
}

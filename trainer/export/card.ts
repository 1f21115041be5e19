import type { Export } from '../export.ts'

/** The model card: what a person should know before using the file. */
export function modelCard({ manifest, parity }: Export): string {
  const { name, version, description, architecture, branch, threat, input, classes, recipe } = manifest
  const [height, width] = input.size ?? []
  const facts = [
    `- **Architecture**: ${architecture}, ${manifest.parameters} parameters, norm: ${manifest.normalisation}`,
    ...(branch === 'main' ? [] : [`- **Branch of the mixture batch norm**: \`${branch}\``]),
    `- **Input**: \`image\`, float32 [N, ${input.channels === 'grey' ? 1 : 3}, ${height}, ${width}], ${input.channels}, in [0,1]`,
    `- **Output**: \`logits\` [N, ${classes.length}]`,
    `- **Trained on**: ${manifest.trainingData}, recipe \`${recipe?.name}\` (sha256 ${recipe?.sha256.slice(0, 12)}…)`,
    threat
      ? `- **Trained against**: ${threat.norm}, eps ${threat.eps}${threat.targeted ? ', targeted' : ''}. How robust it is, an evaluation says, not this card.`
      : '- **Trained against**: nothing. It is not robust.',
    `- **Licence**: ${manifest.licence}`,
  ]
  return `# ${name} ${version}

${description}

${facts.join('\n')}

Batch norm is folded into the convolutions. On ${parity.images} images the logits of this file, run by onnxruntime, differ
from the trainer's (${parity.backend}) by at most ${parity.logits.largest.toExponential(1)} of the largest logit, and the loss's gradients by ${parity.gradient.toExponential(1)} in L2.
`
}

import { epsText, NORMS, percent } from '../evaluator/leaderboard/format.ts'
import type { Result } from '../manifests/schema/result.ts'

/** The answer as a person reads it. */
export function describeResult(result: Result, dir?: string): string {
  const { model, dataset, battery, threat, clean, robust, attacks, skipped, flags } = result
  const radius = threat.eps === null ? 'an eps of each image’s own' : `eps ${epsText(threat.eps)}`
  const width = Math.max(12, ...attacks.map(({ name }) => name.length + 2))
  const line = (name: string, { accuracy, interval }: typeof clean) =>
    `${name.padEnd(width)} ${percent(accuracy).padStart(7)}   95 %: ${percent(interval[0])} to ${percent(interval[1])}`
  return [
    `${model.name} on ${dataset.examples} images of ${dataset.name}, ${NORMS[threat.norm]} ${radius}, battery ${battery.id} ${battery.version}`,
    '',
    line('clean', clean),
    ...attacks.map(
      (attack) =>
        `  ${attack.name.padEnd(width - 2)} ${percent(attack.robustAccuracy).padStart(7)}   ${attack.seconds.toFixed(1)} s, ${attack.backwards} gradients`,
    ),
    line('robust', robust),
    ...(skipped.length > 0 ? ['', ...skipped.map(({ name, reason }) => `left out: ${name}, ${reason}`)] : []),
    ...(flags.length > 0 ? ['', ...flags.map(({ name, reason }) => `! ${name}: ${reason}`)] : []),
    ...(dir ? ['', `${dir}/report.html shows more`] : []),
  ].join('\n')
}

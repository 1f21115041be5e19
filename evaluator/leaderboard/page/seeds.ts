import type { Entry, Track } from '../../../manifests/schema/leaderboard.ts'
import { percent } from '../format.ts'
import { bySeed, mean } from '../seeds.ts'
import { type Html, html } from './html.ts'
import { intervalText } from './words.ts'

/** Recipes that were trained with several seeds, and how far apart these came out. */
export function seedTable({ entries }: Pick<Track, 'entries'>): Html | null {
  const several = bySeed(entries).filter(({ length }) => length > 1)
  if (several.length === 0) return null
  const row = (seeds: readonly Entry[]): Html => {
    const cells = (['robust', 'clean'] as const).map((kind) => {
      const accuracies = seeds.map((entry) => entry[kind].accuracy)
      return html`<td class="number">${percent(mean(accuracies))}</td><td class="number">${intervalText([Math.min(...accuracies), Math.max(...accuracies)])}</td>`
    })
    const { recipe, branch } = seeds[0]!.model
    return html`<tr><th scope="row">${recipe}${branch === 'clean' && ', clean branch'}</th><td class="number">${seeds.length}</td>${cells}</tr>
`
  }
  return html`<h2 id="seeds">Recipes over seeds</h2>
<p class="small soft">Models of one recipe differ by the seed of their training alone. An interval above is about the images; the spread here is about the training.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Recipes over seeds"><table>
<thead><tr><th scope="col">Recipe</th><th scope="col" class="number">Models</th><th scope="col" class="number">Robust, mean</th><th scope="col" class="number">lowest – highest</th><th scope="col" class="number">Clean, mean</th><th scope="col" class="number">lowest – highest</th></tr></thead>
<tbody>${several.map(row)}</tbody></table></div>`
}

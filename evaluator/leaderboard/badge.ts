import type { Result } from '../../manifests/schema/result.ts'
import { epsText, NORMS, percent } from './format.ts'
import { html } from './page/html.ts'

/** Width of a letter in the badge's 11 px type, on average; the text is stretched to fit exactly. */
const LETTER = 6.4
const AIR = 7

/** A picture for a model's README: `robust, L∞ 8/255 | 57.1 %`. Colours don't depend on the page around it. */
export function badge({ robust, threat }: Pick<Result, 'robust' | 'threat'>): string {
  const eps = threat.eps === null ? '' : ` ${epsText(threat.eps)}`
  const left = `robust, ${NORMS[threat.norm]}${eps}`
  const right = percent(robust.accuracy)
  const [a, b] = [width(left), width(right)]
  // From red at 0 % over amber to green at 100 %, dark enough for white text.
  const hue = Math.round(robust.accuracy * 140)
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${a + b}" height="20" role="img" aria-label="${left}: ${right}">
<title>${left}: ${right}</title>
<clipPath id="round"><rect width="${a + b}" height="20" rx="4"/></clipPath>
<g clip-path="url(#round)"><rect width="${a}" height="20" fill="#3b434c"/><rect x="${a}" width="${b}" height="20" fill="hsl(${hue} 75% 27%)"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="${AIR}" y="14" textLength="${a - 2 * AIR}">${left}</text><text x="${a + AIR}" y="14" textLength="${b - 2 * AIR}" font-weight="bold">${right}</text></g>
</svg>
`.markup
}

const width = (text: string): number => Math.round(text.length * LETTER) + 2 * AIR

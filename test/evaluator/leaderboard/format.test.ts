import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEps } from '../../../evaluator/eps.ts'
import { inputWords, shellLine, threatWords } from '../../../evaluator/leaderboard/command.ts'
import { epsText, percent, points, short, slug } from '../../../evaluator/leaderboard/format.ts'
import { html, link } from '../../../evaluator/leaderboard/page/html.ts'
import { inputSchema } from '../../../manifests/schema/input.ts'

describe('how figures are written', () => {
  it('writes a radius as the field does', () => {
    expect([8 / 255, 4 / 255, 1.6 / 255, 0.3, 0.031, 0.5, 0.1, 1 / 7].map(epsText)).toEqual([
      '8/255',
      '4/255',
      '1.6/255',
      '0.3',
      '0.031',
      '0.5',
      '0.1',
      '0.1429',
    ])
  })

  it('puts a radius into a command so that exactly it is read back', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 10, noNaN: true }), (eps) => {
        const words = threatWords({
          threat: { norm: 'l2', eps, targeted: false },
          battery: { id: 'quick', version: '1', aggregation: 'worst-case', sha256: '' },
        })
        expect(parseEps(words.at(-1)!)).toBe(eps)
      }),
    )
  })

  it('puts into a command only what is unusual, quoted where a shell would trip', () => {
    expect(inputWords(inputSchema.parse({}))).toEqual([])
    const input = inputSchema.parse({
      range: [-1, 1],
      channels: 'bgr',
      mean: [0.5],
      size: [224, 192],
      labelOffset: 1,
    })
    expect(shellLine(inputWords(input))).toBe(
      '--range -1,1 --channels bgr --mean 0.5 --size 224x192 --label-offset 1',
    )
    expect(shellLine(['a b', "it's", '$(rm)', ''])).toBe(`'a b' 'it'\\''s' '$(rm)' ''`)
  })

  it('writes accuracies, differences and counts', () => {
    expect(percent(0.8325)).toBe('83.3 %')
    expect([0.012, -0.0301, 0.0001, 0].map((difference) => points(difference))).toEqual([
      '+1.2',
      '−3.0',
      '0.0',
      '0.0',
    ])
    expect([40, 3710, 272474, 11.5e9].map(short)).toEqual(['40', '3.71 k', '272 k', '11.5 G'])
  })

  it('makes names of files that stay in their folder', () => {
    expect(['mnist:train', '../../etc', 'A b/C', '...', ''].map(slug)).toEqual([
      'mnist-train',
      'etc',
      'a-b-c',
      'unnamed',
      'unnamed',
    ])
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(slug(text)).toMatch(/^[a-z0-9_][a-z0-9._-]*$/)
      }),
    )
  })
})

describe('html', () => {
  it('escapes values in text and attributes, and joins lists', () => {
    const evil = `"><script>'&`
    expect(html`<a title="${evil}">${[evil, 1, null, false, html`<b>x</b>`]}</a>`.markup).toBe(
      '<a title="&quot;&gt;&lt;script&gt;&#39;&amp;">&quot;&gt;&lt;script&gt;&#39;&amp;1<b>x</b></a>',
    )
  })

  it('links to web addresses only', () => {
    expect(link('https://example.org/a?b&c', 'paper').markup).toBe(
      '<a href="https://example.org/a?b&amp;c">paper</a>',
    )
    expect(link('javascript:alert(1)').markup).toBe('javascript:alert(1)')
  })
})

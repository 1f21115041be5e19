import { describe, expect, it } from 'vitest'
import type { NodeTable } from '../../../../converters/tfjs/graph/rule.ts'
import { converted } from '../models.ts'
import { GraphFile, int, ints, text, texts, type } from './file.ts'

/** Writes a graph and answers its outputs. */
export type Write = (g: GraphFile) => string | string[]

/** Converts a graph for every operator of a table and compares it with tfjs. */
export function everyOperator(what: string, table: NodeTable, cases: Readonly<Record<string, Write>>): void {
  describe(`${what} compute what tfjs computes`, () => {
    for (const [op, write] of Object.entries(cases))
      it(op, async () => {
        const g = new GraphFile()
        const outputs = [write(g)].flat()
        const { parity } = await converted(await g.save(outputs))
        expect(parity.outputs.filter(({ magnitude }) => !(magnitude > 0))).toEqual([])
        expect(parity).toMatchObject({ passed: true })
      })

    it('leaves no operator untried', () => {
      expect(Object.keys(cases).sort()).toEqual(Object.keys(table).sort())
    })
  })
}

export const image = [-1, 7, 6, 3]

/** Strides and SAME padding, as the attributes of a convolution. */
export const same = (strides: readonly number[]) => ({
  strides: ints([1, ...strides, 1]),
  padding: text('SAME'),
  dilations: ints([1, ...strides.map(() => 1), 1]),
})

/** The same for a fused convolution. */
export const fused = (strides: readonly number[], ...ops: string[]) => ({
  ...same(strides),
  fused_ops: texts(ops),
  num_args: int(ops.includes('Prelu') ? 2 : 1),
})

let count = 0

/** A 1x1 convolution: what it gives lies channels-first in the file. */
export const convolved = (g: GraphFile, x: string): string =>
  g.node('Conv2D', [x, g.weight(`kernel_${count++}`, [1, 1, 3, 3])], same([1, 1]))

/** The input, convolved. */
export const features = (g: GraphFile): string => convolved(g, g.input('x', image))

export const toFloat = (g: GraphFile, y: string): string => g.node('Cast', [y], { DstT: type('DT_FLOAT') })

/** An operator of one input. */
export const unary =
  (op: string): Write =>
  (g) =>
    g.node(op, [features(g)])

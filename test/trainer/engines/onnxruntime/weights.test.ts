import { describe, expect, it } from 'vitest'
import { Tensor } from '../../../../converters/onnx/tensor.ts'
import { WeightTable } from '../../../../trainer/engines/onnxruntime/weights.ts'

const table = () =>
  new WeightTable([
    { name: 'k', role: 'kernel', value: Tensor.float32([2], [1, -2]) },
    { name: 'a', role: 'affine', value: Tensor.float32([1], [0.5]) },
    { name: 's', role: 'statistic', value: Tensor.float32([1], [4]) },
    { name: 'f', role: 'frozen', value: Tensor.float32([1], [3]) },
  ])
const values = (map: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries([...map].map(([name, tensor]) => [name, tensor.numbers]))
const plain = { learningRate: 1, momentum: 0, nesterov: false, weightDecay: 0, gradientScale: 1 }

describe('the weights of the onnxruntime engine', () => {
  it('train kernels and affine parts, and nothing else', () => {
    expect(['k', 'a', 's', 'f'].map((name) => table().isTrainable(name))).toEqual([true, true, false, false])
  })

  it('descend with momentum, and decay kernels alone', () => {
    const weights = table()
    const step = { ...plain, learningRate: 0.5, momentum: 0.5, weightDecay: 0.25 }
    for (let i = 0; i < 2; i++) {
      weights.accumulate('k', Float32Array.of(1, 1), 1)
      weights.accumulate('a', Float32Array.of(1), 1)
      weights.update(step)
    }
    // v1 = 1 + w/4 = [1.25, 0.5], w1 = w - v1/2 = [0.375, -2.25]; v2 = v1/2 + 1 + w1/4 = [1.71875, 0.6875]
    expect(values(weights.values(false))).toEqual({
      k: [0.375 - 1.71875 / 2, -2.25 - 0.6875 / 2],
      a: [0.5 - 0.5 - 0.75],
      s: [4],
      f: [3],
    })
  })

  it('look ahead with Nesterov', () => {
    const weights = table()
    weights.accumulate('a', Float32Array.of(1), 1)
    weights.update({ ...plain, momentum: 0.5, nesterov: true })
    // v = 1, w - (g + v/2)
    expect(weights.get('a').numbers).toEqual([0.5 - 1.5])
  })

  it('add gradients up until an update, and scale the sum', () => {
    const weights = table()
    weights.accumulate('a', Float32Array.of(1), 0.5)
    weights.accumulate('a', Float32Array.of(3), 1)
    weights.update({ ...plain, gradientScale: 0.5 })
    expect(weights.get('a').numbers).toEqual([0.5 - 1.75])
    weights.update(plain)
    expect(weights.get('a').numbers).toEqual([0.5 - 1.75])
  })

  it('average from the first update on, statistics included', () => {
    const weights = table()
    weights.update({ ...plain, averaging: 0.75 })
    weights.follow('s', Float32Array.of(0), 0.5)
    weights.update({ ...plain, averaging: 0.75 })
    expect(weights.values(true).get('s')!.numbers).toEqual([0.75 * 4 + 0.25 * 2])
    expect(weights.values(false).get('s')!.numbers).toEqual([2])
  })

  it('tell what was made from them that they have changed', () => {
    const weights = table()
    const { version } = weights
    weights.accumulate('a', Float32Array.of(1), 1)
    expect(weights.version).toBe(version)
    weights.update(plain)
    expect(weights.version).not.toBe(version)
  })

  it('come back from their state', () => {
    const weights = table()
    weights.accumulate('k', Float32Array.of(1, 1), 1)
    weights.update({ ...plain, momentum: 0.9, averaging: 0.5 })
    const state = weights.state()
    const other = table()
    other.load(state)
    expect(values(other.state())).toEqual(values(state))
  })

  it('refuse a state that lacks a weight or has another shape, and stay as they are', () => {
    const weights = table()
    const state = weights.state()
    state.set('weight/k', Tensor.float32([2], [9, 9]))
    state.delete('weight/f')
    expect(() => weights.load(state)).toThrow(expect.objectContaining({ code: 'integrity' }))
    state.set('weight/f', Tensor.float32([2], [1, 1]))
    expect(() => weights.load(state)).toThrow(expect.objectContaining({ code: 'integrity' }))
    expect(weights.get('k').numbers).toEqual([1, -2])
  })
})

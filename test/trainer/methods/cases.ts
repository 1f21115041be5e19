export const EPS = 0.1

export const attack = { eps: EPS, step: 0.05, steps: 2 }
/** Every method, the norms it is tried with, and how many weight steps it takes for a batch. */
export const METHODS: readonly {
  spec: { name: string } & Record<string, unknown>
  norms?: string[]
  updates?: number
}[] = [
  { spec: { name: 'standard' } },
  { spec: { name: 'pgd-at', attack, cleanRatio: 0.5 }, norms: ['batch', 'mixture'] },
  { spec: { name: 'fgsm-at', eps: EPS }, norms: ['batch', 'mixture'] },
  { spec: { name: 'fast-at', eps: EPS, guard: 0.9 } },
  { spec: { name: 'free-at', eps: EPS, step: EPS, replays: 3 }, updates: 3 },
  { spec: { name: 'yopo', eps: EPS, step: 0.05, passes: 2, innerSteps: 3 } },
  { spec: { name: 'alp', attack }, norms: ['batch', 'mixture'] },
  { spec: { name: 'trades', beta: 1, attack: { ...attack, start: 'near' } }, norms: ['batch', 'mixture'] },
  { spec: { name: 'mart', attack } },
  { spec: { name: 'advprop', attack }, norms: ['mixture'] },
  { spec: { name: 'awp', gamma: 0.01, method: { name: 'trades', attack } } },
  { spec: { name: 'ensemble-at', eps: EPS, sources: ['static.onnx'] } },
  { spec: { name: 'bilateral', eps: EPS } },
  { spec: { name: 'feature-scattering', eps: EPS } },
  { spec: { name: 'llr', eps: EPS, step: 0.02, steps: 3 } },
  { spec: { name: 'iaat', attack, gamma: 0.02, warmUpEpochs: 0 } },
]

import type { Command } from 'commander'

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Each module in `commands/` exports `command()`, made with `zooCommand` of `output.ts`. */
  readonly load: () => Promise<{ command(): Command }>
}

/** Every command, in the order in which `zoo --help` lists them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'demo',
    summary: 'the whole pipeline on real images: train, export, publish, attack, rank',
    load: () => import('./commands/demo.ts'),
  },
  {
    name: 'eval',
    summary: 'attack a zoo model or any .onnx classifier and say how robust it is',
    load: () => import('./commands/eval.ts'),
  },
  {
    name: 'replay',
    summary: 'run the stored adversarial images of an evaluation again',
    load: () => import('./commands/replay.ts'),
  },
  {
    name: 'merge',
    summary: 'join the shards of an evaluation',
    load: () => import('./commands/merge.ts'),
  },
  {
    name: 'leaderboard',
    summary: 'build, check, compare and serve the robustness leaderboard',
    load: () => import('./commands/leaderboard.ts'),
  },
  {
    name: 'lint',
    summary: 'say what would make an evaluation wrong or impossible, before any attack',
    load: () => import('./commands/lint.ts'),
  },
  {
    name: 'gradient',
    summary: "write a model's loss and its gradient with respect to the image as ONNX",
    load: () => import('./commands/gradient.ts'),
  },
  {
    name: 'data',
    summary: 'Get data sets, verified, from their official source or a mirror',
    load: () => import('./commands/data.ts'),
  },
  {
    name: 'pull',
    summary: 'Get a model, verified to the byte, and print where it is',
    load: () => import('./commands/pull.ts'),
  },
  {
    name: 'push',
    summary: "Publish a model: into the zoo's local registry, or to an endpoint",
    load: () => import('./commands/push.ts'),
  },
  {
    name: 'list',
    summary: 'The models in your own registry and in the one that ships with the zoo',
    load: () => import('./commands/list.ts'),
  },
  {
    name: 'info',
    summary: "A model's card: threat model, results, size, who signed it",
    load: () => import('./commands/info.ts'),
  },
  {
    name: 'verify',
    summary: 'Compare a pulled model with what was published, and look at its signature',
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'prune',
    summary: 'Remove from the cache what nothing leads to any more',
    load: () => import('./commands/prune.ts'),
  },
  {
    name: 'login',
    summary: 'Keep a token for a registry, in a file that only you can read',
    load: () => import('./commands/login.ts'),
  },
  {
    name: 'logout',
    summary: 'Forget the token of a registry',
    load: () => import('./commands/logout.ts'),
  },
  {
    name: 'convert',
    summary: 'turn a tfjs layers or graph model into ONNX and compare the two',
    load: () => import('./commands/convert.ts'),
  },
  {
    name: 'train',
    summary: 'train a classifier by a recipe; the same command again resumes',
    load: () => import('./commands/train.ts'),
  },
  {
    name: 'export',
    summary: 'write what a run trained as an ONNX model, compared with the trainer',
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'doctor',
    summary: 'which backends and providers work here, each proved by a small computation',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'setup',
    summary: 'get the native parts, which an install never downloads by itself',
    load: () => import('./commands/setup.ts'),
  },
]

import type { Command } from 'commander'
import { examineProviders } from '../../converters/onnx/runtime/providers.ts'
import { selfTest } from '../../trainer/engines/self-test.ts'
import { buildNative } from '../../trainer/engines/tfjs/native/build.ts'
import { io, zooCommand } from '../output.ts'
import { installCudaProvider } from '../setup-cuda.ts'

interface TfjsFlags {
  readonly json?: boolean
  readonly gpu?: boolean
  readonly library?: string
}

export function command(): Command {
  return zooCommand('setup', 'Get the native parts, which an install never downloads by itself', [
    'zoo setup tfjs',
    'zoo setup tfjs --gpu',
    'zoo setup onnxruntime-cuda',
  ])
    .addCommand(tfjsCommand())
    .addCommand(onnxruntimeCommand())
}

function onnxruntimeCommand(): Command {
  return zooCommand('onnxruntime-cuda', "Get onnxruntime's CUDA provider, for --provider cuda", [
    'zoo setup onnxruntime-cuda',
  ]).action(async (options: { json?: boolean }) => {
    const out = io(options)
    const folder = await installCudaProvider((line) => out.note(line))
    const examined = (await examineProviders()).find(({ provider }) => provider === 'cuda')!
    out.answer({ folder, ...examined }, ({ works, detail }) =>
      works ? `${folder}: works, ${detail}` : `${folder}: the libraries are here, but ${detail}`,
    )
  })
}

function tfjsCommand(): Command {
  return zooCommand('tfjs', "Build tfjs's binding to libtensorflow, for the backends node and cuda", [
    'zoo setup tfjs',
    'zoo setup tfjs --gpu',
    'zoo setup tfjs --library /opt/libtensorflow',
  ])
    .option('--gpu', 'take the CUDA build of TensorFlow')
    .option(
      '--library <folder>',
      "use a libtensorflow that is here (its lib and include), not TensorFlow's wheel",
    )
    .action(async (options: TfjsFlags) => {
      const out = io(options)
      const folder = await buildNative({ gpu: options.gpu === true, library: options.library }, out.progress)
      const { tensors, largest } = await selfTest(options.gpu ? 'cuda' : 'node')
      out.answer(
        { folder, tensors, largest },
        () => `${folder}: works, ${tensors} tensors agree to ${largest.toExponential(1)}`,
      )
    })
}

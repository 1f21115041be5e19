import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { ZooError } from '../manifests/error.ts'

/** Where onnxruntime-node publishes CUDA libraries for: the keys of its own list of downloads. */
const SUPPORTED = 'linux/x64'

/**
 * Gets onnxruntime's CUDA provider by running the script that onnxruntime-node ships for it, which our install leaves out.
 *
 * @returns the folder where the libraries lie now
 * @throws ZooError `backend-unavailable` on machines for which there is none, `network` where the script fails
 */
export async function installCudaProvider(note: (line: string) => void): Promise<string> {
  const platform = `${process.platform}/${process.arch}`
  if (platform !== SUPPORTED)
    throw new ZooError('backend-unavailable', `onnxruntime-node has no CUDA provider for ${platform}`, {
      hint: `it has one for ${SUPPORTED}; --provider webgpu may use this machine's GPU`,
    })
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const script = join(root, 'script', 'install.js')
  const child = spawn(process.execPath, [script, '--onnxruntime-node-install=cuda12'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
      note(text.trimEnd())
    })
  const [code] = await once(child, 'close')
  const folder = join(root, 'bin', 'napi-v6', process.platform, process.arch)
  if (code === 0 && existsSync(join(folder, 'libonnxruntime_providers_cuda.so'))) return folder
  const fault = /^\w*Error: (.*)$/m.exec(said)?.[1] ?? `the script ended with ${code}`
  throw new ZooError('network', `onnxruntime's CUDA provider could not be fetched: ${fault}`, {
    hint: 'the script asks the feed that onnxruntime-node names; proxies are read from GLOBAL_AGENT_HTTPS_PROXY',
  })
}

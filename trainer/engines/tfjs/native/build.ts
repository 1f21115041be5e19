import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { ZooError } from '../../../../manifests/error.ts'
import type { Progress } from '../../../../manifests/progress.ts'
import { bindingPath, LIBRARIES, nativeFolder, PYTHON, wheelFor } from './libraries.ts'

export interface BuildOptions {
  /** The CUDA build of TensorFlow. */
  readonly gpu: boolean
  /** A folder with `lib` and `include` of a libtensorflow that is here already, instead of TensorFlow's wheel. */
  readonly library?: string | undefined
}

/**
 * Makes the binding between tfjs and libtensorflow: fetches the library, lays it out beside the binding's source, which
 * @tensorflow/tfjs-node-gpu carries, and compiles that. The result appears in the zoo's cache whole or not at all.
 *
 * @throws ZooError `not-found` (python, npm's node-gyp or the package are missing), `network`, `check-failed` (a step
 *   failed, with its last lines), `backend-unavailable` (no wheel for this machine)
 */
export async function buildNative(options: BuildOptions, progress: Progress): Promise<string> {
  const target = nativeFolder()
  await mkdir(dirname(target), { recursive: true })
  const work = await mkdtemp(`${target}-`)
  const stage = (name: string, done: number): void => progress({ stage: name, done, total: 3, unit: 'steps' })
  try {
    stage('get libtensorflow', 0)
    const library = options.library ?? (await fetchWheel(work, options.gpu))
    stage('lay it out', 1)
    await layOut(library, work, options.library === undefined)
    stage('compile the binding', 2)
    await compile(work)
    stage('compile the binding', 3)
    await rm(join(work, 'wheel'), { recursive: true, force: true })
    await rm(target, { recursive: true, force: true })
    await rename(work, target)
    return target
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Lets pip fetch, check and unpack TensorFlow's wheel; it needs no Python of that wheel's version. */
async function fetchWheel(work: string, gpu: boolean): Promise<string> {
  const wheel = wheelFor(gpu)
  if (!wheel)
    throw new ZooError(
      'backend-unavailable',
      `TensorFlow publishes no ${gpu ? 'CUDA ' : ''}wheel for ${process.platform} on ${process.arch}`,
      { hint: 'give a libtensorflow of your own with --library FOLDER' },
    )
  const requirements = join(work, 'requirements.txt')
  await writeFile(requirements, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`)
  const target = join(work, 'wheel')
  const { version, abi } = PYTHON
  await run('python3', [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--no-compile'],
    ...['--require-hashes', '-r', requirements, '--target', target, '--only-binary', ':all:'],
    ...['--python-version', version, '--implementation', 'cp', '--abi', abi, '--platform', wheel.platform],
  ])
  return join(target, 'tensorflow')
}

/** The binding's source, and in `deps` what its build file expects: headers, and libraries under both their names. */
async function layOut(library: string, work: string, isWheel: boolean): Promise<void> {
  const source = packageFolder()
  for (const part of ['binding', 'binding.gyp', 'package.json'])
    await cp(join(source, part), join(work, part), { recursive: true })
  const lib = join(work, 'deps', 'lib')
  await mkdir(lib, { recursive: true })
  await cp(join(library, 'include'), join(work, 'deps', 'include'), { recursive: true })
  if (!isWheel) return await cp(join(library, 'lib'), lib, { recursive: true, verbatimSymlinks: true })
  for (const { file, linked } of LIBRARIES) {
    await rename(join(library, file), join(lib, file))
    if (linked !== file) await symlink(file, join(lib, linked))
  }
}

async function compile(work: string): Promise<void> {
  await run(
    process.execPath,
    [
      await nodeGyp(),
      'rebuild',
      ...(await headersOption()),
      '--module_name=tfjs_binding',
      `--module_path=${dirname(bindingPath(work))}`,
      '--napi_build_version=8',
    ],
    work,
  )
  if (!existsSync(bindingPath(work)))
    throw new ZooError('check-failed', 'node-gyp finished, but there is no binding')
}

/** npm carries node-gyp. */
async function nodeGyp(): Promise<string> {
  const beside = join(dirname(process.execPath), '..', 'lib', 'node_modules')
  const roots = [beside, (await run('npm', ['root', '--global'])).trim()]
  for (const root of roots) {
    const path = join(root, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')
    if (existsSync(path)) return path
  }
  throw new ZooError('not-found', 'npm is installed without its node-gyp', { hint: 'install npm again' })
}

/** The running Node's own headers where they are installed; otherwise node-gyp fetches them. */
async function headersOption(): Promise<string[]> {
  const prefix = join(dirname(process.execPath), '..')
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
}

function packageFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json'))
  } catch (error) {
    throw new ZooError('not-found', '@tensorflow/tfjs-node-gpu is not installed', {
      hint: 'npm i --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0',
      cause: error,
    })
  }
}

const LAST_LINES = 8

/** Runs a program to its end and returns what it printed. */
function run(program: string, args: readonly string[], folder = process.cwd()): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let printed = ''
    child.stdout.on('data', (data) => {
      printed += data
      output += data
    })
    child.stderr.on('data', (data) => {
      output += data
    })
    child.on('error', (error) =>
      reject(new ZooError('not-found', `${program} is needed and not here`, { cause: error })),
    )
    child.on('close', (code) => {
      if (code === 0) return resolve(printed)
      const lines = output.trimEnd().split('\n').slice(-LAST_LINES).join('\n     ')
      reject(new ZooError('check-failed', `${program} ${args.slice(0, 3).join(' ')} failed:\n     ${lines}`))
    })
  })
}

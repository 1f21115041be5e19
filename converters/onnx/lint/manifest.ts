import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, relative } from 'node:path'
import { datasetManifest, datasetNames } from '../../../manifests/datasets/read.ts'
import { ZooError } from '../../../manifests/error.ts'
import { type ModelManifest, modelManifestSchema } from '../../../manifests/schema/model.ts'
import { parseAs } from '../../../manifests/schema/parse.ts'
import type { LintReport } from './lint.ts'
import type { Subject } from './subject.ts'

/** A manifest to start from, and the names of the fields in it that are guesses or left to fill in. */
export interface StartingManifest {
  readonly manifest: ModelManifest
  readonly guessed: readonly string[]
}

/**
 * Writes down what a file tells of itself as a model manifest; what it doesn't tell is guessed, for a person to mend.
 *
 * @throws ZooError `unsupported-model` for models that are no image classifiers
 */
export async function startingManifest(subject: Subject, report: LintReport): Promise<StartingManifest> {
  const { path, file, options } = subject
  const { output } = report
  if (!output)
    throw new ZooError('unsupported-model', 'only a classifier can have a manifest', {
      hint: 'the findings say what is in the way',
    })
  const { layout, channels, size, range } = report.guesses
  const dataset = guessDataset(report)
  const classes = dataset && datasetManifest(dataset)?.classes
  const sizes = classes?.length === output.classes
  const manifest = parseAs(
    modelManifestSchema,
    {
      schemaVersion: 1,
      name: nameOf(path),
      version: '1',
      description: file.description || `An image classifier of ${output.classes} classes.`,
      files: await filesOf(subject),
      architecture: file.graph.name || 'unknown',
      parameters: report.parameters,
      opset: file.opsets.get('') ?? 1,
      input: options.input ?? {
        ...(range && { range }),
        ...(channels && { channels }),
        ...(layout && { layout }),
        ...(size && { size }),
        // Of the 1001 classes of TensorFlow's ImageNet models the first is the background.
        labelOffset: output.classes === 1001 ? 1 : 0,
      },
      output: output.kind,
      classes: sizes ? classes : Array.from({ length: output.classes }, (_, i) => `class ${i}`),
      dataset: dataset ?? 'unknown',
      licence: 'unknown',
    },
    'the manifest',
  )
  const input = options.input ? [] : ['input']
  const named = sizes ? [] : ['classes']
  return {
    manifest,
    guessed: ['name', 'version', 'description', 'architecture', ...input, ...named, 'dataset', 'licence'],
  }
}

function nameOf(path: string): string {
  const stem = basename(path, extname(path)).toLowerCase()
  return stem.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'model'
}

/** The one data set of the zoo that has the model's image shape and classes; of several, the one in the file's name. */
function guessDataset({ guesses: { size, channels }, output, path }: LintReport): string | undefined {
  const shape = [channels === 'grey' ? 1 : 3, ...(size ?? [])]
  const fitting = datasetNames().filter((name) => {
    const known = datasetManifest(name)
    return known?.classes.length === output?.classes && `${known?.shape}` === `${shape}`
  })
  if (fitting.length === 1) return fitting[0]
  const named = fitting.filter((name) => basename(path).toLowerCase().includes(name))
  return named.toSorted((a, b) => b.length - a.length)[0]
}

async function filesOf({ path, file }: Subject): Promise<ModelManifest['files']> {
  const external = [...file.graph.initializers.values()].flatMap(({ file: range }) =>
    range ? [range.path] : [],
  )
  const described = [path, ...new Set(external)].map(async (each) => ({
    path: each === path ? basename(path) : relative(dirname(path), each),
    size: (await stat(each)).size,
    sha256: await sha256Of(each),
  }))
  return Promise.all(described)
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}

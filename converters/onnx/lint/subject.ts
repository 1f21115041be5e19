import { asZooError, ZooError } from '../../../manifests/error.ts'
import type { InputDescription } from '../../../manifests/schema/input.ts'
import type { OutputKind } from '../classifier/output-kind.ts'
import { endingAt, imageInput, scoresOutput } from '../classifier/ports.ts'
import { type Classifier, prepareClassifier } from '../classifier.ts'
import { readModel } from '../file.ts'
import { type Coverage, gradientCoverage } from '../gradient/coverage.ts'
import type { Model, ValueInfo } from '../graph.ts'
import { normalise } from '../normalise.ts'
import { openChildSession } from '../runtime/child.ts'
import type { Session } from '../runtime/session.ts'
import { type FileRun, runFile } from './file-run.ts'
import { guessImages, type ImageGuess } from './images.ts'
import { type Trial, tryOut } from './trial.ts'

export interface LintOptions {
  /** How the images are going to be given, as flags or a manifest say; its contradictions with the model are reported. */
  readonly input?: InputDescription
  readonly outputKind?: OutputKind | 'auto'
  readonly inputName?: string
  readonly outputName?: string
  /** Where the file runs; default: in a child process. */
  readonly open?: (path: string) => Promise<Session>
}

/** A model with all that checks look at. Where a stage failed, its error stands in its place and later ones are absent. */
export interface Subject {
  readonly path: string
  readonly options: LintOptions
  /** As the file has it. */
  readonly file: Model
  readonly normal: Model | ZooError
  readonly port?: ValueInfo
  readonly guess?: ImageGuess
  readonly run?: FileRun | ZooError | undefined
  /** Prepared without a description, with the model's own input. */
  readonly classifier?: Classifier | ZooError
  /** Prepared with the description, where one is given. */
  readonly described?: Classifier | ZooError | undefined
  readonly coverage?: Coverage
  readonly trial?: Trial
}

/**
 * Looks at a model from all sides. The file itself runs in a child process; what is made of it runs in this one, and
 * only if the file neither failed nor crashed there.
 *
 * @throws ZooError only where the file cannot be read at all
 */
export async function look(path: string, options: LintOptions): Promise<Subject> {
  const { inputName, outputName, input, outputKind = 'auto', open = openChildSession } = options
  const file = await readModel(path)
  const read = { path, options, file }
  const normal = orError(() => normalise(file))
  if (normal instanceof ZooError) return { ...read, normal }
  const scored = orError(() => endingAt(normal.graph, scoresOutput(normal.graph, outputName)))
  const port = orError(() => imageInput(scored instanceof ZooError ? normal.graph : scored, inputName))
  if (port instanceof ZooError) return { ...read, normal, classifier: port }
  const guess = guessImages(normal.graph, port)
  const range = guess.range?.value ?? [0, 1]
  const run = normal.graph.inputs.length === 1 ? await runFile(() => open(path), port, range) : undefined
  const seen = { ...read, normal, port, guess, run }
  if (run instanceof ZooError) return seen
  const preparing = {
    outputKind,
    ...(inputName !== undefined && { inputName }),
    ...(outputName !== undefined && { outputName }),
  }
  const classifier = await orErrorLater(prepareClassifier(file, preparing))
  if (classifier instanceof ZooError) return { ...seen, classifier }
  return {
    ...seen,
    classifier,
    described: input && (await orErrorLater(prepareClassifier(file, { ...preparing, input }))),
    coverage: await gradientCoverage(classifier.model, { of: 'logits', withRespectTo: [classifier.image] }),
    trial: await tryOut(classifier, { run, range, output: scoresOutput(file.graph, outputName).name }),
  }
}

function orError<T>(compute: () => T): T | ZooError {
  try {
    return compute()
  } catch (error) {
    return asZooError(error)
  }
}

const orErrorLater = <T>(promise: Promise<T>): Promise<T | ZooError> => promise.catch(asZooError)

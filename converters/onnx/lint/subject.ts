import { asZooError, ZooError } from '../../../manifests/error.ts'
import type { InputDescription } from '../../../manifests/schema/input.ts'
import type { OutputKind } from '../classifier/output-kind.ts'
import { imageInput, scoresOutput } from '../classifier/ports.ts'
import { type Classifier, prepareClassifier } from '../classifier.ts'
import { readModel } from '../file.ts'
import { type Coverage, gradientCoverage } from '../gradient/coverage.ts'
import type { Model, ValueInfo } from '../graph.ts'
import { normalise } from '../normalise.ts'
import { openChildSession } from '../runtime/child.ts'
import type { ModelSource, Session, SessionOptions } from '../runtime/session.ts'
import { guessImages, type ImageGuess } from './images.ts'
import { type Trial, tryOut } from './trial.ts'

export interface LintOptions {
  /** How the images are going to be given, as flags or a manifest say; its contradictions with the model are reported. */
  readonly input?: InputDescription
  readonly outputKind?: OutputKind | 'auto'
  readonly inputName?: string
  readonly outputName?: string
  /** Where models run; default: in child processes. */
  readonly open?: (source: ModelSource, options?: SessionOptions) => Promise<Session>
}

/** A model with all that checks look at. Where a stage failed, its error stands in its place and later ones are absent. */
export interface Subject {
  readonly path: string
  readonly options: LintOptions
  /** As the file has it. */
  readonly file: Model
  readonly normal: Model | ZooError
  readonly port: ValueInfo | undefined
  readonly guess: ImageGuess | undefined
  /** Prepared without a description, with the model's own input. */
  readonly classifier: Classifier | ZooError | undefined
  /** Prepared with the description, where one is given. */
  readonly described: Classifier | ZooError | undefined
  readonly coverage: Coverage | undefined
  readonly trial: Trial | undefined
}

/** @throws ZooError only where the file cannot be read at all */
export async function look(path: string, options: LintOptions): Promise<Subject> {
  const { inputName, outputName, input, outputKind = 'auto', open = openChildSession } = options
  const file = await readModel(path)
  const normal = orError(() => normalise(file))
  const port = normal instanceof ZooError ? undefined : orError(() => imageInput(normal.graph, inputName))
  const known = port instanceof ZooError ? undefined : port
  const guess = normal instanceof ZooError || !known ? undefined : guessImages(normal.graph, known)
  const preparing = {
    open,
    outputKind,
    ...(inputName !== undefined && { inputName }),
    ...(outputName !== undefined && { outputName }),
  }
  const classifier =
    normal instanceof ZooError ? undefined : await orErrorLater(prepareClassifier(file, preparing))
  const ready = classifier instanceof ZooError ? undefined : classifier
  return {
    path,
    options,
    file,
    normal,
    port: known,
    guess,
    classifier,
    described: ready && input && (await orErrorLater(prepareClassifier(file, { ...preparing, input }))),
    coverage: ready && (await gradientCoverage(ready.model, { of: 'logits', withRespectTo: [ready.image] })),
    trial:
      ready &&
      (await tryOut(path, ready, {
        open,
        range: guess?.range?.value ?? [0, 1],
        output: scoresOutput(file.graph, outputName).name,
      })),
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

import type { Provider } from '../converters/onnx/runtime/session.ts'
import type { Battery } from '../manifests/schema/battery.ts'
import type { InputDescription } from '../manifests/schema/input.ts'
import type { ModelManifest } from '../manifests/schema/model.ts'

/** A model file at hand. */
export interface ModelFile {
  readonly name: string
  readonly path: string
  /** Of the ONNX file's bytes. */
  readonly sha256: string
}

/** What is to be evaluated, and how. Everything is at hand: whoever asks has downloaded it. */
export interface EvaluationRequest {
  readonly model: ModelFile
  readonly manifest?: ModelManifest | undefined
  /** How the model wants its images; as the manifest says where absent, else NCHW in [0,1]. */
  readonly input?: InputDescription | undefined
  readonly outputKind?: 'auto' | 'logits' | 'log-probabilities' | 'probabilities' | undefined
  /** What `openData` takes: the folder of a known data set, a folder of images, or an .npz file. */
  readonly data: string
  readonly battery: Battery
  readonly norm?: 'linf' | 'l2' | 'l1' | undefined
  /** `8/255` or a number; else the data set's own, the manifest's, or the battery's custom. */
  readonly eps?: string | number | undefined
  /** The first so many examples. */
  readonly limit?: number | undefined
  readonly seed: number
  readonly provider: Provider
  /** Processes, and threads in each; measured where neither is given. */
  readonly jobs?: number | undefined
  readonly threads?: number | undefined
  readonly shard?: { readonly index: number; readonly count: number } | undefined
  /** The ledger's folder; without one the ledger goes when the evaluation ends. */
  readonly out?: string | undefined
  /** Models of transfer attacks, by how the battery calls them; without a manifest they take images as the attacked model does. */
  readonly sources?:
    | Readonly<
        Record<
          string,
          ModelFile & { readonly manifest?: Pick<ModelManifest, 'input' | 'output'> | undefined }
        >
      >
    | undefined
}

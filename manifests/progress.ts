/** What a long job says while it runs. On a terminal it is drawn as a line with the time left; elsewhere it is one JSON line. */
export interface ProgressEvent {
  /** What is happening, in a few words: `train mnist-resnet8-advbn`, `attack pgd-ce`. */
  readonly stage: string
  /** Finished units, and how many there will be when that is known. */
  readonly done: number
  readonly total?: number
  /** What a unit is: `images`, `steps`, `bytes`. */
  readonly unit?: string
  /** Worth a line of its own in a log, however soon after the last. */
  readonly milestone?: boolean
  /** Figures worth watching, such as `{ loss: 0.41, cleanAccuracy: 0.97 }`. */
  readonly figures?: Readonly<Record<string, number | string>>
}

export type Progress = (event: ProgressEvent) => void

export const silent: Progress = () => {}

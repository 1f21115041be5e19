import type { Finding } from './finding.ts'
import type { Subject } from './subject.ts'

/** One question about a model. Most models give it no findings. */
export type Check = (subject: Subject) => readonly Finding[]

import { datasetManifestSchema } from '../schema/dataset.ts'
import { shelf } from '../shelf.ts'

const datasets = shelf('datasets', 'data set', datasetManifestSchema)

export const datasetNames = datasets.names
export const datasetManifest = datasets.find

import { readModel, writeModel } from '../../../converters/onnx/file.ts'
import { normalise } from '../../../converters/onnx/normalise.ts'

/** Run by `streaming.test.ts` in a process of its own: rewrites a model and prints the most memory that it took, in MB. */
const [source, target] = process.argv.slice(2) as [string, string]
await writeModel(normalise(await readModel(source)), target, { externalAbove: 0 })
process.stdout.write(`${process.resourceUsage().maxRSS / 1024}`)

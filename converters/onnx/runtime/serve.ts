import { asZooError } from '../../../manifests/error.ts'
import { openSession } from './open.ts'
import { type Answer, failureOf, type Request, tensorsFromWire, tensorsToWire } from './protocol.ts'
import type { Session } from './session.ts'

/** The child's side of `openChildSession`: holds one session, and ends with its parent. */
let session: Session | undefined
process.on('disconnect', () => process.exit())
process.on('message', async (request: Request) => {
  let answer: Answer
  try {
    answer = await answerTo(request)
  } catch (error) {
    answer = failureOf(request.id, asZooError(error))
  }
  if (process.connected) process.send?.(answer)
})

async function answerTo(request: Request): Promise<Answer> {
  if (request.kind === 'open') {
    session = await openSession(request.path, request.options)
    return { id: request.id, kind: 'opened', inputs: session.inputs, outputs: session.outputs }
  }
  const results = await session!.run(tensorsFromWire(request.feeds))
  return { id: request.id, kind: 'done', results: tensorsToWire(results) }
}

/**
 * The environment in which a process sees one GPU alone: the one with this index among those that this process may use,
 * of which it takes the first. Processes beyond their number begin with the first again.
 */
export function ownGpu(index: number, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const visible = environment.CUDA_VISIBLE_DEVICES?.split(',').filter((device) => device !== '')
  const device = visible && visible.length > 0 ? visible[index % visible.length]! : String(index)
  return { CUDA_VISIBLE_DEVICES: device }
}

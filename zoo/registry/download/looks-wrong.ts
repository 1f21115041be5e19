/**
 * What a response that should be a model or an archive plainly is instead, from its first bytes. It names the common
 * accidents; the digest is what decides.
 */
export function looksWrong(first: Uint8Array): { what: string; hint: string } | undefined {
  const start = new TextDecoder('latin1').decode(first.subarray(0, 256)).trimStart().toLowerCase()
  if (start.startsWith('version https://git-lfs.github.com/'))
    return {
      what: 'a Git LFS pointer',
      hint: 'the repository keeps the file in Git LFS: use the URL that resolves it (often /resolve/ or /media/ in place of /raw/)',
    }
  if (start.startsWith('<!doctype html') || start.startsWith('<html'))
    return {
      what: 'a web page',
      hint: 'the URL leads to a page about the file, or to a login: use the download link',
    }
  return undefined
}

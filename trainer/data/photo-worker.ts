import { Tinypool } from 'tinypool'
import { type PhotoRequest, readPhoto } from './photo.ts'

/** Runs in the worker threads of `class-folders.ts`; the image is handed over, not copied. */
export default async (request: PhotoRequest) => Tinypool.move(await readPhoto(request))

import { type Progress, silent } from '../../manifests/progress.ts'
import { Http } from './download/http.ts'
import { readSettings, type Settings } from './settings.ts'

/** What every transfer needs: settings, connections, and someone to tell. */
export interface Client {
  readonly settings: Settings
  readonly http: Http
  readonly progress: Progress
  /** One line for a person, such as that a damaged copy was fetched again. */
  note(line: string): void
}

export function openClient(
  options: {
    readonly settings?: Settings
    readonly progress?: Progress
    readonly note?: (line: string) => void
  } = {},
): Client {
  const settings = options.settings ?? readSettings()
  return {
    settings,
    http: new Http(settings),
    progress: options.progress ?? silent,
    note: options.note ?? (() => {}),
  }
}

import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import type { ModelManifest } from '../../../manifests/schema/model.ts'
import { modelManifestSchema } from '../../../manifests/schema/model.ts'
import { type Client, openClient } from '../../../zoo/registry/client.ts'
import { readSettings, type Settings } from '../../../zoo/registry/settings.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that goes when the file's tests are over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zoo-test-'))
  folders.push(folder)
  return folder
}

export interface TestClient extends Client {
  readonly notes: string[]
}

/**
 * A client with a home of its own that doesn't try often. Its patience with a stall is the usual, since a busy machine
 * is slow: tests of a stall shorten it.
 */
export function testClient(changes: Partial<Settings> = {}, home = temporaryFolder()): TestClient {
  const notes: string[] = []
  const settings = { ...readSettings({}, { ZOO_HOME: home }), retries: 1, ...changes }
  return { ...openClient({ settings, note: (line) => notes.push(line) }), notes }
}

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** Bytes that look random and are the same every time. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed * 2654435761
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

export interface TestModel {
  readonly folder: string
  readonly manifest: ModelManifest
}

/** A folder with a model's manifest and files: the weights are noise, since the registry never looks inside. */
export function makeModel(
  name: string,
  options: { version?: string; files?: Record<string, Uint8Array | string>; seed?: number } = {},
): TestModel {
  const folder = temporaryFolder()
  const contents = options.files ?? {
    'model.onnx': noise(20_000, options.seed),
    'README.md': `# ${name}\n`,
    'reports/parity.json': '{"largest": 1e-6}\n',
  }
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  const manifest = modelManifestSchema.parse({
    schemaVersion: 1,
    name,
    version: options.version ?? '1.0.0',
    description: 'a model for tests',
    files: Object.entries(contents).map(([path, content]) => ({
      ...{ path, size: Buffer.byteLength(content), sha256: sha256(content) },
    })),
    ...{ architecture: 'resnet8', parameters: 5000, input: {}, classes: ['no', 'yes'], dataset: 'mnist' },
    ...{ licence: 'Apache-2.0', authors: ['A. Tester'] },
  })
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
  return { folder, manifest }
}

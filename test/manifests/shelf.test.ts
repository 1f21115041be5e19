import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { batteryIds, readBattery } from '../../manifests/batteries/read.ts'
import { datasetManifest, datasetNames } from '../../manifests/datasets/read.ts'
import { readRecipe, recipeNames } from '../../manifests/recipes/read.ts'

const folder = mkdtempSync(join(tmpdir(), 'zoo-shelf-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each(batteryIds())('battery %s is valid and named after its file', (id) => {
  expect(readBattery(id).id).toBe(id)
})

it.each(recipeNames())('recipe %s is valid and named after its file', (name) => {
  expect(readRecipe(name).name).toBe(name)
})

it.each(datasetNames())('data set %s is valid and named after its file', (name) => {
  expect(datasetManifest(name)?.name).toBe(name)
})

it('finds nothing under names that are no names', () => {
  expect(datasetManifest('../batteries/quick')).toBeUndefined()
  expect(datasetManifest('imagenet-22k')).toBeUndefined()
})

it('says what there is when asked for what there is not', () => {
  expect(() => readBattery('slow')).toThrow(
    expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('autoattack, ') }),
  )
})

it('reads a file of one’s own, and reports all its bad fields together', () => {
  const own = join(folder, 'own.json')
  writeFileSync(own, JSON.stringify({ ...readBattery('quick'), id: 'own' }))
  expect(readBattery(own).id).toBe('own')
  writeFileSync(own, '{ "id": 7, "attacks": "all" }')
  expect(() => readBattery(own)).toThrow(
    expect.objectContaining({
      code: 'invalid-manifest',
      message: expect.stringMatching(/id[\s\S]*attacks|attacks[\s\S]*id/),
    }),
  )
  writeFileSync(own, '{')
  expect(() => readBattery(own)).toThrow(expect.objectContaining({ code: 'invalid-manifest' }))
})

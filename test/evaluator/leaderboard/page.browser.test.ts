import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildLeaderboard } from '../../../evaluator/leaderboard/build.ts'
import { readReported } from '../../../evaluator/leaderboard/reported.ts'
import { inventBoard } from './synthetic.ts'

const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const present = existsSync(executablePath)
const reason = present ? '' : ` (skipped: no browser at ${executablePath}; set CHROMIUM_PATH)`
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let base: string
let out: string
let browser: Browser
/** Everything that the browser complained about. */
const complaints: string[] = []

describe.skipIf(!present)(`the board in a browser${reason}`, () => {
  beforeAll(async () => {
    base = mkdtempSync(join(tmpdir(), 'zoo-page-'))
    out = join(base, 'board')
    const { dirs, models } = inventBoard(join(base, 'ledgers'))
    await buildLeaderboard(dirs, { out, models, reported: await readReported() })
    browser = await chromium.launch({
      executablePath,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    })
  }, 240_000)
  afterAll(async () => {
    await browser?.close()
    rmSync(base, { recursive: true, force: true })
  })

  const TRACK = 'v1/cifar10-linf-8-255-autoattack-v1'

  async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('requestfailed', (request) => complaints.push(request.url()))
    await page.goto(pathToFileURL(join(out, path)).href)
    return page
  }

  const names = (page: Page) => page.locator('table.board tbody tr:visible .name > a').allTextContents()
  const modelPages = () =>
    readdirSync(join(out, TRACK))
      .filter((name) => name.endsWith('.html') && name !== 'index.html')
      .map((name) => `${TRACK}/${name}`)

  it('opens from disk on every kind of page without a complaint, each under 300 KB', async () => {
    const pages = ['index.html', 'versions.html', 'v1/index.html', `${TRACK}/index.html`, ...modelPages()]
    for (const path of pages) {
      expect(statSync(join(out, path)).size, path).toBeLessThan(300_000)
      const page = await open(path)
      expect(await page.locator('h1').count()).toBe(1)
      await page.context().close()
    }
    expect(complaints).toEqual([])
  })

  it('has no dead link within the board', async () => {
    const pages = ['index.html', 'versions.html', 'v1/index.html', `${TRACK}/index.html`, modelPages()[0]!]
    for (const path of pages) {
      const page = await open(path)
      const targets = await page
        .locator('a[href]')
        .evaluateAll((links) =>
          links
            .map((link) => (link as unknown as { href: string }).href)
            .filter((href) => href.startsWith('file:')),
        )
      for (const target of new Set(targets.map((href) => href.replace(/#.*/, ''))))
        expect(existsSync(new URL(target)), `${path} links to ${target}`).toBe(true)
      await page.context().close()
    }
  })

  it('is a whole table without scripts', async () => {
    const page = await open(`${TRACK}/index.html`, { javaScriptEnabled: false })
    expect(await names(page)).toHaveLength(7)
    expect(await page.locator('form.controls').isVisible()).toBe(false)
    expect(await page.getByRole('button').count()).toBe(0)
    await page.context().close()
  })

  it('sorts by a column, one way and then the other, with the keyboard too', async () => {
    const page = await open(`${TRACK}/index.html`)
    const robust = await names(page)
    const clean = page.getByRole('button', { name: 'Clean' })
    await clean.click()
    expect((await names(page))[0]).toBe('resnet56-standard')
    expect(await page.locator('th[aria-sort]').allTextContents()).toEqual(['Clean'])
    await clean.press('Enter')
    expect((await names(page)).at(-1)).toBe('resnet56-standard')
    await page.getByRole('button', { name: 'Robust' }).click()
    expect(await names(page)).toEqual(robust)
    await page.getByRole('button', { name: 'Parameters' }).click()
    expect((await names(page)).at(-1)).toMatch(/^no-card/)
    await page.context().close()
  })

  it('filters by words, by facet and by flags, and says how many are left', async () => {
    const page = await open(`${TRACK}/index.html`)
    const count = page.locator('form.controls output')
    expect(await count.textContent()).toBe('7 models')
    await page.getByLabel('Search').fill('advbn 638')
    expect(await names(page)).toEqual(['resnet638-advbn'])
    expect(await count.textContent()).toBe('1 of 7 models')
    await page.getByLabel('Search').fill('')
    await page.getByLabel('Normalisation').selectOption('group')
    expect(await names(page)).toEqual(['resnet56-groupnorm'])
    await page.getByLabel('Normalisation').selectOption('')
    await page.getByLabel('without flags').check()
    expect(await names(page)).not.toContain('resnet56-standard')
    await page.context().close()
  })

  it('follows the system’s theme, and a choice that is remembered', async () => {
    const paper = (page: Page) => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const page = await open(`${TRACK}/index.html`, { colorScheme: 'dark' })
    const dark = await paper(page)
    await page.getByRole('button', { name: 'Light theme' }).click()
    expect(await paper(page)).toBe('rgb(255, 255, 255)')
    expect(dark).not.toBe('rgb(255, 255, 255)')
    await page.reload()
    expect(await paper(page)).toBe('rgb(255, 255, 255)')
    await page.context().close()
  })

  it('fits a phone without sideways scrolling, its cells still named', async () => {
    for (const path of ['index.html', `${TRACK}/index.html`, modelPages()[0]!]) {
      const page = await open(path, { viewport: { width: 360, height: 740 } })
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect(width, path).toBeLessThanOrEqual(360)
      await page.context().close()
    }
    const page = await open(`${TRACK}/index.html`, { viewport: { width: 360, height: 740 } })
    const label = `getComputedStyle(document.querySelector('table.board td.accuracy'), '::before').content`
    expect(await page.evaluate(label)).toBe('"Robust"')
    expect(await page.getByRole('row').count()).toBeGreaterThan(7)
    await page.context().close()
  })

  it('prints without controls, in light colours', async () => {
    const page = await open(`${TRACK}/index.html`, { colorScheme: 'dark' })
    await page.emulateMedia({ media: 'print' })
    expect(await page.locator('form.controls').isVisible()).toBe(false)
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(20, 24, 29)')
    expect((await page.pdf()).length).toBeGreaterThan(10_000)
    await page.context().close()
  })

  it('gives every chart a name and the same data as a table', async () => {
    const page = await open(`${TRACK}/index.html`)
    const figures = page.locator('figure')
    expect(await figures.count()).toBeGreaterThanOrEqual(4)
    for (const figure of await figures.all()) {
      expect(await figure.getByRole('img').getAttribute('aria-label')).toMatch(/\w{3}/)
      expect(await figure.locator('details tbody tr').count()).toBeGreaterThan(1)
    }
    await page.context().close()
  })

  it('has no accessibility fault that axe-core finds, in both themes and on a phone', async () => {
    const track = `${TRACK}/index.html`
    const views: [path: string, BrowserContextOptions][] = [
      [track, { colorScheme: 'light' }],
      [track, { colorScheme: 'dark' }],
      [track, { viewport: { width: 360, height: 740 } }],
      ['index.html', { colorScheme: 'dark' }],
      ['versions.html', {}],
      [modelPages()[0]!, {}],
    ]
    for (const [path, view] of views) {
      const page = await open(path, view)
      await page.locator('details').evaluateAll((all) => {
        for (const one of all) (one as unknown as { open: boolean }).open = true
      })
      await page.evaluate(axe)
      const violations = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as {
        id: string
        nodes: { html: string }[]
      }[]
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
      expect(found, `${path} ${JSON.stringify(view)}`).toEqual([])
      await page.context().close()
    }
  })
})

#!/usr/bin/env node
// Takes a picture of a page of the leaderboard, for the README:
//   node .ci/screenshot.mjs board/v1/TRACK/index.html docs/leaderboard.png [light|dark] [width] [height]
// The browser is Debian's chromium, or CHROMIUM_PATH.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'

const [page, output, colorScheme = 'light', width = '1200', height = '900'] = process.argv.slice(2)
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [...flags, ...quiet],
})
const context = await browser.newContext({
  viewport: { width: Number(width), height: Number(height) },
  deviceScaleFactor: 1.5,
  colorScheme,
})
const tab = await context.newPage()
await tab.goto(pathToFileURL(resolve(page)).href)
await tab.screenshot({ path: output })
await browser.close()

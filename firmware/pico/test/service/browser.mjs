// The page on the Pico in a real browser, by a host name: over plain http that is no secure context.
//   FLOTA_TEST_BROWSER=/usr/bin/chromium NODE_MODULES=…/node_modules MICROPYTHON=…/micropython node --test browser.mjs
// Pictures go to the folder SHOTS, if there is one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const require = createRequire(join(process.env.NODE_MODULES, 'x'))
const { chromium } = require('playwright-core')
const { AxeBuilder } = require('@axe-core/playwright')

const here = dirname(fileURLToPath(import.meta.url))
const pico = join(here, '../..')
const shots = process.env.SHOTS
const patience = 30_000
const sha256 = (data) => createHash('sha256').update(data).digest('hex')

class Board {
  static async make({ ssid = 'virtual', password = 'a good password' } = {}) {
    const b = new Board()
    b.folder = await mkdtemp(join(tmpdir(), 'pico-'))
    const files = join(b.folder, 'files')
    await mkdir(files)
    for (const name of ['service_ota.py', 'manager_wifi.py', 'service_page.html']) await copyFile(join(pico, name), join(files, name))
    while (!b.port) {
      const port = 20000 + Math.floor(Math.random() * 12000) // of those that Linux gives to no outgoing connection
      await new Promise((done) => {
        const s = createServer().on('error', done).listen(port, '127.0.0.1', () => ((b.port = port), s.close(done)))
      })
    }
    await writeFile(join(files, 'main.py'), `
import asyncio
from manager_wifi import WiFiManager
from service_ota import OTAUpdateService
wifi = WiFiManager("${ssid}", "password", "pico-shed")
async def main():
    global ota
    ota = OTAUpdateService(wifi, auth_password="${password}", port=${b.port})
    await ota.start()
    while True:
        await asyncio.sleep(1)
asyncio.run(main())
`)
    b.url = `http://pico-shed.local:${b.port}/`
    await b.start()
    return b
  }

  async start() {
    this.process = spawn(process.env.MICROPYTHON, ['-X', 'heapsize=512K', join(here, 'board.py'),
      join(this.folder, 'flash.bin'), '212', join(this.folder, 'files')], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.ended = new Promise((done) => this.process.on('exit', done))
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
    await this.until('@started')
    for (;;) {
      const open = await new Promise((done) => {
        const s = connect(this.port, '127.0.0.1', () => (s.destroy(), done(true))).on('error', () => done(false))
      })
      if (open) return
      await new Promise((done) => setTimeout(done, 50))
    }
  }

  async until(word) {
    for (;;) {
      const { value, done } = await this.lines.next()
      assert(!done, `the board never said ${word}`)
      if (value.startsWith(word)) return value
    }
  }

  async do(line) {
    this.process.stdin.write(line + '\n')
    await this.until('@done')
  }

  async destroy() {
    this.process.kill('SIGKILL')
    await this.ended
    await rm(this.folder, { recursive: true })
  }
}

let browser, board, page
const faults = []

async function visit(url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1000, height: 900 }, reducedMotion: 'reduce', acceptDownloads: true,
    httpCredentials: { username: 'admin', password: 'a good password' }, ...options,
  })
  context.setDefaultTimeout(patience)
  const p = await context.newPage()
  p.on('pageerror', (e) => faults.push(e.message))
  p.on('console', (m) => /Content Security Policy/i.test(m.text()) && faults.push(m.text()))
  p.on('request', (r) => new URL(r.url()).origin === new URL(url).origin || r.url().startsWith('data:') || faults.push(`asks for ${r.url()}`))
  await p.goto(url)
  return p
}

async function look(p, name) {
  if (shots) await p.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
  const { violations } = await new AxeBuilder({ page: p }).analyze()
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join('; ')}`), [], `accessibility of ${name}`)
  const wide = await p.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert(wide <= 0, `${name} is ${wide} pixels too wide`)
  assert.deepEqual(faults, [])
}

const file = (name, size) => ({ name, mimeType: 'text/plain', buffer: randomBytes(size) })
const row = (p, list, name) => p.getByRole('list', { name: list, exact: true }).getByRole('listitem').filter({ hasText: name })
const names = async (p) => p.getByRole('list', { name: 'Files', exact: true }).locator('b').allInnerTexts()

/** Slows what the page sends, in bytes a second; 0: no longer. */
async function slow(p, rate) {
  p.cdp ??= await p.context().newCDPSession(p)
  await p.cdp.send('Network.enable')
  await p.cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: rate || -1 })
}

before(async () => {
  if (shots) await mkdir(shots, { recursive: true })
  browser = await chromium.launch({
    executablePath: process.env.FLOTA_TEST_BROWSER,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP pico-shed.local 127.0.0.1'],
  })
  board = await Board.make()
  page = await visit(board.url)
})
after(async () => {
  await browser?.close()
  await board?.destroy()
})

test('it is no secure context, and the page has a SHA-256 of its own', async () => {
  assert.deepEqual(await page.evaluate(() => [isSecureContext, typeof crypto.subtle]), [false, 'undefined'])
  for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 65535, 65536, 65591, 200_000]) {
    const data = randomBytes(size)
    const got = await page.evaluate(([b64]) => sha256(new Blob([Uint8Array.from(atob(b64), (c) => c.charCodeAt(0))])), [data.toString('base64')])
    assert.equal(got, sha256(data), `${size} bytes`)
  }
})

test('several files by the picker, each with its progress, all with theirs', async () => {
  const files = [file('main_loop.py', 900), file('sensors.py', 5000), file('font.bin', 60_000)]
  await page.evaluate(() => {
    window.seen = new Set()
    setInterval(() => document.querySelectorAll('progress').forEach((p) => seen.add(`${p.ariaLabel} ${p.value > 0 && p.value < p.max}`)), 5)
  })
  await slow(page, 40_000)
  await page.getByLabel('Files', { exact: true }).and(page.locator('input')).setInputFiles(files)
  await row(page, 'Uploads', 'font.bin').getByText(/^Sends [1-9]/).waitFor()
  await look(page, 'upload')
  for (const f of files) {
    await row(page, 'Uploads', f.name).getByText('Verified on both sides.').waitFor()
    assert.match(await row(page, 'Uploads', f.name).innerText(), new RegExp(sha256(f.buffer)))
  }
  await slow(page, 0)
  await page.getByText('3 of 3 done').waitFor()
  await row(page, 'Files', 'font.bin').waitFor()
  const seen = await page.evaluate(() => [...seen])
  for (const label of ['font.bin true', 'All files true']) assert(seen.includes(label), `progress of ${label}: ${seen}`)
  assert((await names(page)).includes('sensors.py'))
})

test('by drag and drop, into a folder', async () => {
  await page.getByLabel('Folder').fill('lib')
  const drop = await page.evaluateHandle(() => {
    const t = new DataTransfer()
    for (const name of ['one.py', 'two.py']) t.items.add(new File([name], name))
    return t
  })
  await page.dispatchEvent('#drop', 'dragover', { dataTransfer: drop })
  assert(await page.locator('#drop.over').count())
  await page.dispatchEvent('#drop', 'drop', { dataTransfer: drop })
  await row(page, 'Files', 'lib/two.py').waitFor()
  await page.getByLabel('Folder').fill('')
  assert((await names(page)).includes('lib/one.py'))
})

test('an error stays, and the others go on', async () => {
  await page.getByRole('button', { name: 'Clear list' }).click()
  await page.getByLabel('Files', { exact: true }).and(page.locator('input')).setInputFiles(
    [file('service_ota.py', 100), file('huge.bin', 860_000), file('fine.py', 100)])
  await row(page, 'Uploads', 'fine.py').getByText('Verified on both sides.').waitFor()
  const text = /This is the running service's own code/
  await row(page, 'Uploads', 'service_ota.py').getByText(text).waitFor()
  await row(page, 'Uploads', 'huge.bin').getByText(/do not fit/).waitFor()
  await page.getByText('1 of 3 done, 2 failed').waitFor()
  await page.getByRole('button', { name: 'Refresh' }).click()
  assert.match(await row(page, 'Uploads', 'service_ota.py').innerText(), text)
  assert.equal(await row(page, 'Uploads', 'service_ota.py').getByRole('alert').count(), 1)
  await look(page, 'errors')
  await page.getByRole('button', { name: 'Clear list' }).click()
})

test('an upload goes on where the network left it', async () => {
  const data = file('long.bin', 150_000)
  await slow(page, 60_000)
  await page.getByLabel('Files', { exact: true }).and(page.locator('input')).setInputFiles([data])
  await row(page, 'Uploads', 'long.bin').getByText(/^Sends [3-9]\d/).waitFor()
  await board.do('import _board; _board.radio = False')
  await row(page, 'Uploads', 'long.bin').getByText(/Goes on in a moment/).waitFor()
  const asked = page.waitForRequest((r) => r.headers()['content-range']?.startsWith('bytes ') && !r.headers()['content-range'].startsWith('bytes *'))
  await board.do('_board.radio = True')
  await slow(page, 0)
  assert.match((await asked).headers()['content-range'], /^bytes [1-9]\d+-149999\/150000$/)
  await row(page, 'Uploads', 'long.bin').getByText('Verified on both sides.').waitFor()
  await page.getByRole('button', { name: 'Clear list' }).click()
})

test('rename, download, delete', async () => {
  await page.getByRole('button', { name: 'Rename fine.py' }).click()
  await page.getByLabel('New name').fill('lib/better.py')
  await look(page, 'rename')
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
  await row(page, 'Files', 'lib/better.py').waitFor()

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download lib/two.py' }).click()])
  assert.equal(download.suggestedFilename(), 'two.py')
  assert.equal(await readFile(await download.path(), 'utf8'), 'two.py')

  await page.getByRole('button', { name: 'Delete lib/better.py' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  assert((await names(page)).includes('lib/better.py'))
  await page.getByRole('button', { name: 'Delete lib/better.py' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await row(page, 'Files', 'lib/better.py').waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Rename sensors.py' }).click()
  await page.getByLabel('New name').fill('.hidden')
  await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
  await page.getByRole('alert').getByText(/begin with a dot/).waitFor()
  await page.getByRole('button', { name: 'Dismiss' }).click()
})

test('restart, by hand and after an update', async () => {
  await page.getByText('Restart', { exact: true }).first().click()
  await page.getByRole('button', { name: 'Restart' }).click()
  assert.equal(await board.ended, 64)
  await page.getByText('Restarts …').waitFor()
  await board.start()
  await page.getByText('in the Wi-Fi virtual').waitFor()

  await page.getByLabel('Restart when all are done').check()
  await page.getByLabel('Files', { exact: true }).and(page.locator('input')).setInputFiles([file('after.py', 100)])
  assert.equal(await board.ended, 64)
  await board.start()
  await row(page, 'Files', 'after.py').waitFor()
})

test('it looks well on a phone and on a desk, by day and by night', async () => {
  for (const [name, viewport] of [['phone', { width: 375, height: 812 }], ['desk', { width: 1100, height: 900 }]])
    for (const colorScheme of ['light', 'dark']) {
      const p = await visit(board.url, { viewport, colorScheme, isMobile: name === 'phone', deviceScaleFactor: name === 'phone' ? 2 : 1 })
      await row(p, 'Files', 'main.py').waitFor()
      for (const s of await p.locator('summary').all()) if (await s.isVisible()) await s.click()
      await p.getByLabel('Files', { exact: true }).and(p.locator('input')).setInputFiles([file('blink.py', 700), file('boot ü.py', 300)])
      await p.getByText('2 of 2 done').waitFor()
      await look(p, `${name}-${colorScheme}`)
      await p.context().close()
    }
})

test('the known password serves only the page that changes it', async () => {
  const fresh = await Board.make({ password: 'otapico' })
  try {
    let p = await visit(fresh.url, { httpCredentials: { username: 'admin', password: 'otapico' }, viewport: { width: 375, height: 812 } })
    await p.getByRole('heading', { name: 'Choose a password' }).waitFor()
    assert.equal(await p.getByRole('button', { name: 'Choose files' }).isVisible(), false)
    await look(p, 'first')
    await p.getByLabel('User name').fill('owner')
    await p.getByLabel('New password').fill('nobody knows it')
    await p.getByLabel('The same again').fill('nobody knows this')
    await p.getByRole('button', { name: 'Change' }).click()
    await p.getByRole('alert').getByText('not the same').waitFor()
    await p.getByLabel('The same again').fill('nobody knows it')
    await p.getByRole('button', { name: 'Change' }).click()
    await p.getByRole('button', { name: 'Choose files' }).waitFor()
    await row(p, 'Files', 'main.py').waitFor()
    await p.context().close()
    p = await visit(fresh.url, { httpCredentials: { username: 'owner', password: 'nobody knows it' } })
    await row(p, 'Files', 'main.py').waitFor()
    await p.context().close()
  } finally {
    await fresh.destroy()
  }
})

test('without a network its access point asks for one', async () => {
  const lonely = await Board.make({ ssid: '' })
  try {
    await lonely.do('wifi.retry_interval_ms = 500')
    const p = await visit(lonely.url, { viewport: { width: 375, height: 812 } })
    await p.getByText('Access point pico-shed').waitFor()
    await p.getByLabel('Network').fill('locked')
    await p.getByRole('textbox', { name: 'Password', exact: true }).first().fill('wrong one')
    await look(p, 'wifi')
    await p.getByRole('button', { name: 'Join' }).click()
    await p.getByText('locked: wrong password').waitFor()
    await p.getByLabel('Network').fill('virtual')
    await p.getByRole('button', { name: 'Join' }).click()
    await p.getByText(/Connected to virtual: http:/).waitFor()
    await p.context().close()
  } finally {
    await lonely.destroy()
  }
})

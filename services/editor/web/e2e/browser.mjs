// A browser, and what has to be true of every screen in it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium as engine } from 'playwright-core'
import { chromium, shots } from './settings.mjs'

const patience = 15_000 // milliseconds for anything but a build
const storm = 20 // requests for the same within a second: the page runs in a circle

/** Starts Chromium; it must be closed. The host name flota.test leads to this machine. */
export function launch() {
  return engine.launch({
    executablePath: chromium,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP flota.test 127.0.0.1',
    ],
  })
}

/** A page of its own, with its own cookies, that remembers what went wrong in it. */
export class Visitor {
  #faults = []

  /** @param options as for a browser context, such as viewport and colorScheme */
  static async arrive(browser, options = {}) {
    const context = await browser.newContext({
      viewport: { width: 1360, height: 850 },
      acceptDownloads: true,
      ignoreHTTPSErrors: true,
      reducedMotion: 'reduce',
      ...options,
    })
    context.setDefaultTimeout(patience)
    const visitor = new Visitor()
    visitor.context = context
    visitor.page = await context.newPage()
    visitor.page.on('pageerror', (error) => visitor.#faults.push(`error in the page: ${error.message}`))
    visitor.page.on('console', (message) => {
      if (/Content Security Policy|Trusted ?Type/i.test(message.text())) visitor.#faults.push(message.text())
    })
    const asked = new Map() // times of the last requests
    visitor.page.on('request', (request) => {
      const what = `${request.method()} ${request.url()}`
      const times = [...(asked.get(what) ?? []), Date.now()].slice(-storm)
      asked.set(what, times)
      if (times.length === storm && times.at(-1) - times[0] < 1000) visitor.#faults.push(`asked again and again: ${what}`)
    })
    return visitor
  }

  /** Keeps a picture of the screen, and checks it. It shows no error where none is expected. */
  async look(name, { alert = false } = {}) {
    await this.page.screenshot({ path: join(shots, `${name}.png`) })
    const { violations } = await new AxeBuilder({ page: this.page }).analyze()
    const found = violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(' ')).join('; ')})`)
    assert.deepEqual(found, [], `accessibility of ${name}`)
    if (!alert) assert.deepEqual(await this.page.getByRole('alert').allInnerTexts(), [], `errors shown on ${name}`)
    assert.deepEqual(this.#faults, [], `faults until ${name}`)
  }

  /** Clicks what starts a download and saves it under its own name; gives the path. */
  async download(target, folder) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), target.click()])
    const path = join(folder, download.suggestedFilename())
    await download.saveAs(path)
    return path
  }

  async leave() {
    await this.context.close()
  }
}

/** Logs a person in. */
export async function logIn({ page }, url, { login, password }) {
  await page.goto(url)
  await page.getByLabel('Login').fill(login)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: 'Projects' }).waitFor()
}

/**
 * The steps of one story: after a failure, the later ones are not tried.
 *
 * @param at what the story has: the page that is pictured where a step fails
 * @returns what makes a step
 */
export function story(at) {
  let broken = ''
  return function step(name, action) {
    test(name, async (t) => {
      if (broken) return t.skip(`after the failure of: ${broken}`)
      try {
        await action()
      } catch (error) {
        broken = name
        await at.page.screenshot({ path: join(shots, 'failure.png') })
        throw error
      }
    })
  }
}

/** Claims a fresh installation for its first administrator. */
export async function claim({ page }, url, token, { login, password }) {
  await page.goto(`${url}/?setup=${encodeURIComponent(token)}`)
  await page.getByLabel('Login').fill(login)
  await page.getByLabel('Password').fill(password)
  await page.getByLabel('Workspace').fill('Greenhouse')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('button', { name: 'Choose an example' }).waitFor()
}

/** Clicks Compile, and waits until it succeeded or failed. */
export async function compile(page, state = 'Succeeded') {
  const shown = page.getByRole('status', { name: 'Build state' })
  await page.getByRole('button', { name: 'Compile' }).click()
  await shown.getByText(/Waiting|Compiling|Fetching|Storing|Succeeded|Failed/).waitFor()
  await shown.getByText(state).waitFor({ timeout: 180_000 })
}

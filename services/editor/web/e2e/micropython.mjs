// MicroPython from an example to a REPL on a board without hardware, and what goes wrong on the way.
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { claim, compile, launch, logIn, story, Visitor } from './browser.mjs'
import { setupToken, shots, url } from './settings.mjs'

const admin = { login: 'ada', password: 'correct horse battery' }
const update = { timeout: 120_000 }

const project = 'Talkative snake'
const board = 'bot_001'

const program = (start) => `import time

from greeting import greet
from machine import Pin

answer = 42
led = Pin("LED", Pin.OUT)
${start}
beat = 0
while True:
    beat += 1
    led.toggle()
    print(greet("beat"), beat)
    time.sleep_ms(250)
`

let browser, visitor, page
const at = {
  get page() {
    return page
  },
}
const step = story(at)

before(async () => {
  browser = await launch()
  visitor = await Visitor.arrive(browser)
  page = visitor.page
})

after(async () => {
  await browser?.close()
  console.log(`screenshots: ${shots}`)
})

step('a MicroPython project is made of an example', async () => {
  await claim(visitor, url, setupToken, admin)
  await page.getByRole('button', { name: 'Choose an example' }).click()
  await page.getByRole('radio', { name: 'MicroPython blink' }).check()
  await page.getByLabel('Name').fill(project)
  await visitor.look('python-new')
  await page.getByRole('button', { name: 'Create project' }).click()
  await page.locator('.cm-content').waitFor()
})

step('its boards have an option for what becomes of modules', async () => {
  await page.getByRole('button', { name: /^Board:/ }).click()
  await page.getByRole('radio', { name: /Raspberry Pi Pico 2 W/ }).waitFor()
  assert.equal(await page.getByRole('radio', { name: /arduino|ESP32-C3/i }).count(), 0, 'boards for sketches are offered')
  await page.getByLabel('Search boards').fill('virtual')
  await page.getByRole('radio', { name: /Virtual Pico W/ }).check()
  assert.deepEqual(await page.getByLabel('Modules').getByRole('option').count(), 2)
  await visitor.look('python-boards')
  await page.getByRole('button', { name: 'Use this board' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

step('a package is fetched with what it needs, and locked', async () => {
  await page.getByRole('button', { name: 'Packages' }).click()
  await page.getByText('uses no packages yet').waitFor()
  await add('missing')
  await page.getByRole('alert').getByText('missing').waitFor()
  await visitor.look('python-package-refused', { alert: true })
  await add('greeting')
  const packages = page.getByRole('list', { name: 'Packages of this project' })
  await packages.getByText('1.2.0 · 1 file').waitFor()
  await page.getByText('Needed by them: words 0.1').waitFor()
  await visitor.look('python-packages')
  await page.getByRole('button', { name: 'Done' }).click()
  await page.getByRole('button', { name: 'package.lock.json', exact: true }).click()
  await page.locator('.cm-content').getByText('sha256').first().waitFor()

  await page.getByRole('button', { name: 'greeting.py', exact: true }).click()
  await page.locator('.cm-content').getByText('def').waitFor()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+End')
  await page.keyboard.type('# by hand\n')
  await page.getByRole('button', { name: 'Packages' }).click()
  await page.getByText('Not as they were fetched').waitFor()
  await page.getByRole('button', { name: 'Done' }).click()
  await page.getByTestId('packages-attention').waitFor()
  await page.getByRole('button', { name: 'Packages' }).click()
  await page.getByRole('button', { name: 'Fetch again' }).click()
  await page.getByText('would be lost').waitFor()
  await visitor.look('python-package-changed', { alert: true })
  await page.getByRole('button', { name: 'Replace them' }).click()
  await page.getByText('Not as they were fetched').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Done' }).click()
  await page.locator('.cm-content').getByText('by hand').waitFor({ state: 'detached' })
  await page.getByTestId('packages-attention').waitFor({ state: 'detached' })
})

step('a mistake is marked on its line, and mended', async () => {
  await write(program('while True\n    pass'))
  await compile(page, 'Failed')
  const problem = page.getByRole('list', { name: 'Problems' }).getByRole('button', { name: /syntax/i }).first()
  await problem.waitFor()
  await page.locator('.cm-line').filter({ hasText: /^while True$/ }).locator('.cm-lintRange-error').first().waitFor()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+Home')
  await problem.click()
  await page.locator('.cm-activeLine').filter({ hasText: 'while True' }).waitFor()
  await visitor.look('python-mistake')
  await write(program(''))
  await compile(page)
  const files = page.getByRole('list', { name: 'Files on the board' })
  for (const name of ['main.py', 'lib/greeting.py', 'lib/words.py']) await files.getByText(name, { exact: true }).waitFor()
  await files.getByText(/^The update agent, \d+ files/).waitFor()
  assert.equal(await files.getByText('package.json').count(), 0, 'what only people read is on the board')
  await page.getByRole('meter', { name: 'Room for a release' }).waitFor()
  await page.getByRole('list', { name: 'Files of this build' }).getByText('Index of the release').waitFor()
  await visitor.look('python-compiled')
})

step('a virtual Pico is made, and polls', async () => {
  await page.getByRole('link', { name: 'Devices', exact: true }).click()
  await page.getByRole('button', { name: 'New virtual board' }).click()
  await page.getByRole('radio', { name: /Virtual Pico W/ }).check()
  await visitor.look('pico-new')
  await page.getByRole('button', { name: 'Make it' }).click()
  await page.getByRole('heading', { name: 'Virtual board' }).waitFor(update)
  await page.getByRole('status', { name: 'Board state' }).getByText('Running').waitFor()
  await page.getByText('Online').first().waitFor()
  await visitor.look('pico-board')
})

step('a second one is refused, and leaves no device behind', async () => {
  await page.getByRole('link', { name: 'Devices', exact: true }).click()
  await page.getByRole('button', { name: 'New virtual board' }).click()
  await page.getByRole('button', { name: 'Make it' }).click()
  await page.getByRole('dialog').getByRole('alert').waitFor()
  await visitor.look('pico-refused', { alert: true })
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('link', { name: 'bot_002' }).waitFor({ state: 'detached' })
})

step('the program goes to it over the air, and what it writes is shown', async () => {
  await deploy('v1')
  await page.getByTestId('running-version').getByText('v1').waitFor(update)
  await page.getByRole('listitem').filter({ hasText: 'Update confirmed' }).first().waitFor(update)
  await serial().getByText(/^hello, beat \d+$/).first().waitFor()
  await visitor.look('pico-running')
})

step('Ctrl-C leads to the REPL, which knows the program’s values', async () => {
  await serial().click()
  await page.getByTestId('cursor').waitFor()
  await page.keyboard.press('Control+c')
  await prompt()
  await page.keyboard.type('answer * 8 + 5x')
  await page.keyboard.press('Backspace')
  await line(/^>>> answer \* 8 \+ 5$/)
  await page.keyboard.press('Enter')
  await line(/^341$/)
  await page.keyboard.press('ArrowUp')
  await line(/^>>> answer \* 8 \+ 5$/, 2)
  await visitor.look('pico-repl')
  await page.keyboard.press('Enter')
  await line(/^341$/, 2)
  await page.keyboard.type('for i in range(2): print("n", i)')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter')
  await line(/^n 1$/)
})

step('by keyboard alone, Escape and Tab leave it', async () => {
  await page.keyboard.press('Escape')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), 'Ctrl-C')
})

step('Ctrl-D starts the program again, with the button as with the key', async () => {
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.getByRole('button', { name: /^Ctrl-D/ }).click()
  await serial().getByText(/^hello, beat 1$/).first().waitFor(update)
})

step('a release that raises is rolled back', async () => {
  await page.getByRole('link', { name: 'Projects', exact: true }).click()
  await page.getByRole('link', { name: project }).click()
  await page.locator('.cm-content').waitFor()
  await write(program('raise RuntimeError("not today")'))
  await compile(page)
  await deploy('v2-bad')
  await page.getByRole('listitem').filter({ hasText: 'Rolled back' }).filter({ hasText: 'v2-bad' }).first().waitFor(update)
  await page.getByText('The new program crashed.').first().waitFor()
  await page.getByTestId('running-version').getByText('v1', { exact: true }).waitFor(update)
  await serial().getByText('RuntimeError: not today').first().waitFor()
  await serial().getByText(/^hello, beat \d+$/).first().waitFor()
  await visitor.look('pico-rolled-back')
})

step('a build is flashed by cable', async () => {
  await page.getByRole('button', { name: 'Actions on the board' }).click()
  await page.getByRole('menuitem', { name: 'Flash by cable' }).click()
  await page.getByRole('combobox', { name: /^Program/ }).selectOption({ label: project })
  await page.getByRole('combobox', { name: /^Build/ }).waitFor()
  await page.getByRole('combobox', { name: /^Build/ }).selectOption({ index: 1 }) // the first one, which is good
  await visitor.look('pico-flash')
  await page.getByRole('button', { name: 'Clear' }).evaluate((button) => button.click()) // under the dialog
  await page.getByRole('button', { name: 'Flash', exact: true }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await serial().getByText(/^hello, beat 1$/).first().waitFor(update)
})

step('on a phone', async () => {
  const guest = await Visitor.arrive(browser, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })
  await logIn(guest, url, admin)
  await guest.page.getByRole('link', { name: 'Devices' }).click()
  await guest.page.getByRole('link', { name: board }).click()
  await guest.page.getByLabel('Terminal', { exact: true }).scrollIntoViewIfNeeded()
  await guest.page.getByRole('button', { name: /^Ctrl-C/ }).tap()
  await guest.page.getByLabel('Terminal', { exact: true }).tap()
  await guest.page.keyboard.insertText('6 * 7') // as a phone's keyboard does
  await guest.page.keyboard.press('Enter')
  await guest.page.getByRole('log', { name: 'What the board writes' }).getByText(/^42$/).first().waitFor()
  await guest.look('phone-repl')
  const wide = await guest.page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  assert.equal(wide, false, 'the page scrolls sideways')
  await guest.leave()
})

step('the device is deleted with its board', async () => {
  await page.getByRole('button', { name: 'Delete the device' }).click()
  await page.getByText('Its virtual board goes with it').waitFor()
  await page.getByRole('button', { name: 'Delete device' }).click()
  await page.getByText('Register your first device').waitFor()
})

/** Asks for a package, in its dialog. */
async function add(name) {
  await page.getByLabel('Add a package').fill(name)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
}

/** Puts a program in place of the one that is there. */
async function write(text) {
  const main = page.getByRole('button', { name: 'main.py', exact: true })
  await main.click()
  await main.and(page.locator('[aria-current=true]')).waitFor()
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.press('Delete')
  await page.keyboard.insertText(text)
}

/** Deploys the build that is shown, and goes to the board's page. */
async function deploy(version) {
  if (!(await page.getByRole('button', { name: 'Deploy to a device' }).isVisible())) {
    await page.getByRole('link', { name: 'Projects', exact: true }).click()
    await page.getByRole('link', { name: project }).click()
  }
  await page.getByRole('button', { name: 'Deploy to a device' }).click()
  await page.getByRole('radio', { name: board }).check()
  await page.getByLabel('Version').fill(version)
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await page.getByRole('list', { name: 'Deployed to' }).getByRole('link', { name: board }).click()
  await page.getByRole('heading', { name: 'Virtual board' }).waitFor()
  await page.getByRole('region', { name: 'Virtual board' }).getByRole('button', { name: 'Press BOOTSEL' }).click()
}

/** What the board writes. */
function serial() {
  return page.getByRole('log', { name: 'What the board writes' })
}

/** Waits for so many lines like this on the serial port. */
function line(pattern, count = 1) {
  return page.waitForFunction(
    ([source, n]) => {
      const lines = document.querySelector('[role=log][aria-label="What the board writes"]')?.innerText.split('\n') ?? []
      return lines.filter((text) => new RegExp(source).test(text.trimEnd())).length >= n
    },
    [pattern.source, count],
  )
}

function prompt() {
  return line(/^>>>$/)
}

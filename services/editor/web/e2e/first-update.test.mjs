// From the first run to a confirmed update, as a stranger would go.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { launch, logIn, story, Visitor } from './browser.mjs'
import { members } from './members.mjs'
import { boards, folder, hostUrl, setupToken, shots, url } from './settings.mjs'
import { startDevice } from './simulator.mjs'
import { openBoard, virtualBoard } from './virtual-board.mjs'
import { wifi } from './wifi.mjs'

const admin = { login: 'ada', password: 'correct horse battery' }
const product = { id: 'bot_001', password: 'label 4711' }
const version = '1.0.0-first'
const build = { timeout: 180_000 } // a cold core is compiled first

let browser, visitor, page, device, workspace
const at = {
  get page() {
    return page
  },
  get visitor() {
    return visitor
  },
}

const step = story(at)

before(async () => {
  browser = await launch()
  visitor = await Visitor.arrive(browser)
  page = visitor.page
})

after(async () => {
  await device?.stop()
  await browser?.close()
  console.log(`screenshots: ${shots}`)
})

step('a fresh installation is claimed with the printed link', async () => {
  await page.goto(`${url}/?setup=wrong-token`)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByLabel('Setup token').or(page.getByRole('alert')).first().waitFor()
  await visitor.look('setup-wrong-token', { alert: true })

  await page.goto(`${url}/?setup=${encodeURIComponent(setupToken)}`)
  await page.getByLabel('Login').fill(admin.login)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByLabel('Workspace').fill('Greenhouse')
  assert.ok(!page.url().includes(setupToken), 'the token stays in the address bar')
  await visitor.look('setup')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('button', { name: 'Choose an example' }).waitFor()
  await visitor.look('projects-empty')
})

step('an example becomes a project', async () => {
  await page.getByRole('button', { name: 'Choose an example' }).click()
  await page.getByRole('radio').first().waitFor()
  await visitor.look('new-project')
  await page.getByLabel('Name').fill('First light')
  await page.getByRole('button', { name: 'Create project' }).click()
  await page.locator('.cm-content').waitFor()
  await visitor.look('editor')
})

step('a board and its options can be chosen', async () => {
  await page.getByRole('button', { name: /^Board:/ }).click()
  await page.getByLabel('Search boards').fill('virtual')
  await page.getByRole('radio').first().check()
  await visitor.look('boards')
  await page.getByRole('button', { name: 'Use this board' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

step('it compiles, and the log is shown', async () => {
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+Enter')
  await page.getByRole('status', { name: 'Build state' }).getByText('Succeeded').waitFor(build)
  assert.match(await page.getByRole('log').innerText(), /\S/)
  await page.getByRole('meter', { name: 'Flash' }).waitFor()
  await visitor.look('compiled')
})

step('the firmware is downloaded by a signed link, byte for byte', async () => {
  const firmware = page.getByRole('list', { name: 'Files of this build' }).getByRole('listitem').filter({ hasText: 'Firmware' }).first()
  const digest = await firmware.locator('code').getAttribute('title')
  const path = await visitor.download(firmware.getByRole('button', { name: /^Download/ }), folder)
  const bytes = readFileSync(path)
  assert.ok(bytes.length > 0)
  assert.equal(`SHA-256 ${createHash('sha256').update(bytes).digest('hex')}`, digest)
})

step('a mistake is marked on its line, and the list leads there', async () => {
  await page.locator('.cm-content').click()
  await page.keyboard.press('Control+End')
  await page.keyboard.type('\nint broken = undeclared_name;')
  await page.getByRole('status', { name: 'Saving' }).getByText('Unsaved').waitFor()
  await page.getByRole('button', { name: 'Compile' }).click()
  const problem = page.getByRole('list', { name: 'Problems' }).getByRole('button', { name: /undeclared_name/ }).first()
  await problem.waitFor(build)
  const line = page.locator('.cm-line').filter({ hasText: 'undeclared_name' })
  await line.locator('.cm-lintRange-error').first().waitFor()
  await page.keyboard.press('Control+Home')
  await problem.click()
  await page.locator('.cm-activeLine').filter({ hasText: 'undeclared_name' }).waitFor()
  await visitor.look('mistake')

  await page.keyboard.press('Control+End')
  await page.keyboard.press('Shift+Home')
  await page.keyboard.press('Backspace')
  await page.keyboard.press('Backspace')
  await page.getByRole('status', { name: 'Saving' }).getByText('Saved', { exact: true }).waitFor()
  assert.equal(await page.locator('.cm-content').getByText('undeclared_name').count(), 0)
})

step('the editor can be left by keyboard', async () => {
  await page.locator('.cm-content').click()
  await page.keyboard.press('Tab')
  assert.ok(await page.evaluate(() => document.activeElement.closest('.cm-editor') !== null), 'Tab indents')
  await page.keyboard.press('Control+z')
  await page.keyboard.press('Escape')
  await page.keyboard.press('Tab')
  assert.ok(await page.evaluate(() => document.activeElement.closest('.cm-editor') === null), 'Escape, then Tab leaves')
})

step('every build is listed', async () => {
  await page.getByRole('link', { name: 'Builds of this project' }).click()
  await page.getByRole('listitem').filter({ hasText: 'Succeeded' }).waitFor()
  await page.getByRole('listitem').filter({ hasText: 'Failed' }).waitFor()
  await visitor.look('builds')
})

step('a device is registered and provisioned', async () => {
  await page.getByRole('link', { name: 'Devices' }).click()
  await page.getByRole('button', { name: 'Register a device' }).waitFor()
  await visitor.look('devices-empty')
  await page.getByRole('button', { name: 'Register a device' }).click()
  await page.getByLabel('Product ID').fill(product.id)
  await page.getByLabel('Password (optional)').fill(product.password)
  await visitor.look('register')
  await page.getByRole('button', { name: 'Register', exact: true }).click()
  await page.getByText(`${product.id} is registered`).waitFor()
  await visitor.look('registered')

  workspace = await page.getByLabel('Workspace, to log in with', { exact: true }).innerText()
  const path = await visitor.download(page.getByRole('button', { name: `Download ${product.id}.json` }), folder)
  const provisioning = JSON.parse(readFileSync(path, 'utf8'))
  assert.deepEqual(Object.keys(provisioning).sort(), ['board', 'device', 'key', 'keys', 'product_id', 'server', 'workspace'])
  assert.equal(provisioning.product_id, product.id)
  const command = await page.getByLabel('No board: a simulated one', { exact: true }).innerText()
  assert.ok(!command.includes(provisioning.key), 'a secret on the command line')
  device = startDevice(command, folder)
  await page.getByRole('button', { name: 'Done' }).click()
  await page.getByRole('listitem').filter({ hasText: product.id }).getByRole('img', { name: 'Online' }).waitFor({ timeout: 60_000 })
  await visitor.look('devices')
})

step('the build is deployed, and the device confirms it', async () => {
  await page.getByRole('link', { name: 'Projects' }).click()
  await page.getByRole('link', { name: 'First light' }).click()
  await page.getByRole('link', { name: 'Builds of this project' }).click()
  await page.getByRole('listitem').filter({ hasText: 'Succeeded' }).getByRole('link').click()
  await page.getByRole('button', { name: 'Deploy to a device' }).click()
  await page.getByRole('radio', { name: product.id }).check()
  await page.getByLabel('Version').fill(version)
  await visitor.look('deploy')
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await page.getByRole('list', { name: 'Deployed to' }).getByRole('link', { name: product.id }).click()
  try {
    await page.getByTestId('running-version').getByText(version).waitFor({ timeout: 90_000 })
    await page.getByRole('listitem').filter({ hasText: 'Update confirmed' }).waitFor()
  } catch (error) {
    throw new Error(`the device did not confirm; it printed:\n${device.printed()}`, { cause: error })
  }
  await visitor.look('device')
})

step('the product logs in with its label, sees its own project only, and deploys it', async () => {
  const owner = await Visitor.arrive(browser)
  await owner.page.goto(url)
  await owner.page.getByRole('tab', { name: 'Device' }).click()
  await owner.page.getByLabel('Workspace').fill(workspace)
  await owner.page.getByLabel('Product ID').fill(product.id)
  await owner.page.getByLabel('Password').fill(product.password)
  await owner.look('login-product')
  await owner.page.getByRole('button', { name: 'Log in' }).click()
  await owner.page.locator('.cm-content').waitFor()
  await owner.look('product-project')
  assert.equal(await owner.page.getByRole('link', { name: 'Devices' }).count(), 0)

  await owner.page.locator('.cm-content').click()
  await owner.page.keyboard.press('Control+Enter')
  await owner.page.getByRole('status', { name: 'Build state' }).getByText('Succeeded').waitFor(build)
  await owner.page.getByRole('button', { name: 'Deploy to a device' }).click()
  await owner.page.getByLabel('Version').fill(`${version}-mine`)
  await owner.page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await owner.page.getByRole('link', { name: 'My device' }).click()
  await owner.page.getByTestId('running-version').getByText(`${version}-mine`).waitFor({ timeout: 90_000 })
  await owner.look('product-device')
  await owner.leave()
})

wifi(step, at, product.id)
members(step, at)
if (boards) virtualBoard(step, at)
else test('virtual boards', { skip: 'FLOTA_E2E_BOARDS is not set' })

step('a lost connection is said, and mends', async () => {
  await visitor.context.route('**/events*', (route) => route.abort())
  await page.reload()
  await page.getByText('The connection is lost').waitFor()
  await visitor.look('connection-lost')
  await visitor.context.unroute('**/events*')
  await page.getByRole('button', { name: 'Try now' }).click()
  await page.getByText('The connection is lost').waitFor({ state: 'detached' })
})

for (const [name, options] of [
  ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
]) {
  step(`every screen in ${name}`, async () => {
    const guest = await Visitor.arrive(browser, options)
    await guest.page.goto(url)
    await guest.page.getByLabel('Login').waitFor()
    await guest.look(`${name}-login`)
    await logIn(guest, url, admin)
    await guest.page.getByRole('link', { name: 'First light' }).waitFor()
    await guest.look(`${name}-projects`)
    await guest.page.getByRole('link', { name: 'First light' }).click()
    await guest.page.locator('.cm-content').waitFor()
    await guest.look(`${name}-editor`)
    await guest.page.getByRole('link', { name: 'Devices' }).click()
    await guest.page.getByRole('link', { name: product.id }).waitFor()
    await guest.look(`${name}-devices`)
    await guest.page.getByRole('link', { name: product.id }).click()
    await guest.page.getByTestId('running-version').waitFor()
    await guest.look(`${name}-device`)
    if (boards) {
      await openBoard(guest.page)
      await guest.look(`${name}-board`)
      await guest.page.getByLabel('Text to send').scrollIntoViewIfNeeded()
      await guest.look(`${name}-monitor`)
    }
    const wide = await guest.page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
    assert.equal(wide, false, 'the page scrolls sideways')
    await guest.leave()
  })
}

test('it works by host name', { skip: hostUrl ? false : 'FLOTA_E2E_HOST_URL is not set' }, async () => {
  const guest = await Visitor.arrive(browser)
  await logIn(guest, hostUrl, admin)
  await guest.page.reload() // the cookies were kept
  await guest.page.getByRole('link', { name: 'First light' }).click()
  await guest.page.locator('.cm-content').click()
  await guest.page.keyboard.press('Control+Enter')
  await guest.page.getByRole('status', { name: 'Build state' }).getByText('Succeeded').waitFor(build)
  await guest.look('by-host-name')
  await guest.leave()
})

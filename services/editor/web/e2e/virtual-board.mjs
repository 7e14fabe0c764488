// A board without hardware, from nothing to a sketch that runs on it, and what goes wrong on the way.
import assert from 'node:assert/strict'

const build = { timeout: 180_000 }
const update = { timeout: 120_000 }

const project = 'Talkative'
const board = 'bot_002'

const sketch = (setup) => `
int beat = 0;

void setup() {
  Serial.begin(115200);
  pinMode(2, OUTPUT);
  pinMode(4, INPUT);
${setup}
}

void loop() {
  digitalWrite(2, HIGH);
  Serial.printf("beat %d, pin 4 is %d\\n", ++beat, digitalRead(4));
  delay(250);
}
`

/**
 * The steps of the story in which a board is virtual.
 *
 * @param step makes a step of the story
 * @param at what the story has: page and visitor
 */
export function virtualBoard(step, at) {
  step('a virtual board is made, and polls', async () => {
    const { page, visitor } = at
    await page.getByRole('link', { name: 'Devices', exact: true }).click()
    await page.getByRole('button', { name: 'New virtual board' }).click()
    assert.equal(await page.getByLabel('Product ID').inputValue(), board)
    await visitor.look('virtual-new')
    await page.getByRole('button', { name: 'Make it' }).click()
    await page.getByRole('list', { name: 'Steps' }).getByText('over its serial port').waitFor()
    await page.getByRole('heading', { name: 'Virtual board' }).waitFor(update)
    await page.getByRole('status', { name: 'Board state' }).getByText('Running').waitFor()
    await page.getByText('Online').first().waitFor()
    await serial(page).filter({ hasText: /\S/ }).waitFor()
    await visitor.look('virtual-board')
  })

  step('a sketch goes to it over the air, and what it writes is shown', async () => {
    const { page, visitor } = at
    await page.getByRole('link', { name: 'Projects', exact: true }).click()
    await page.getByRole('button', { name: 'New project' }).click()
    await page.getByRole('radio').first().waitFor()
    await page.getByLabel('Name').fill(project)
    await page.getByRole('button', { name: 'Create project' }).click()
    await compile(page, sketch(''))
    await page.getByText(/With FlotaOTA [\d.]+: \+/).waitFor()
    await visitor.look('virtual-compiled')
    await deploy(page, 'v1')
    await page.getByTestId('running-version').getByText('v1').waitFor(update)
    await page.getByRole('listitem').filter({ hasText: 'Update confirmed' }).first().waitFor(update)
    await serial(page).getByText(/^beat \d+, pin 4 is \d$/).first().waitFor()
    await page.getByTestId('pin-2').and(page.locator('[data-lit=true]')).waitFor()
    await visitor.look('virtual-running')
  })

  step('nothing of what it writes is missing or shown twice, also over a cut', async () => {
    const { page, visitor } = at
    await visitor.context.route('**/events*', (route) => route.abort())
    await openBoard(page) // which opens the stream anew, in vain
    await page.getByText('The connection is lost').waitFor()
    await page.getByRole('button', { name: 'Clear' }).click()
    await visitor.context.unroute('**/events*')
    await page.getByRole('button', { name: 'Try now' }).click()
    await page.getByText('The connection is lost').waitFor({ state: 'detached' })
    await beats(page, 20)
    const numbers = (await serial(page).innerText()).match(/beat \d+/g).map((text) => Number(text.slice(5)))
    numbers.forEach((n, i) => assert.equal(n, numbers[0] + i, `beats ${numbers.join(' ')}`))
    assert.equal(await page.getByRole('button', { name: 'To the end' }).count(), 0, 'it does not follow the end')
  })

  step('an input is wired, and the button pressed', async () => {
    const { page } = at
    const level = page.getByRole('switch', { name: 'Level at pin 4' })
    const before = await level.getAttribute('aria-checked')
    await level.click()
    await serial(page).getByText(`pin 4 is ${before === 'true' ? 0 : 1}`).first().waitFor()
    await press(page)
    await page.getByLabel('Text to send').fill('hello')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByLabel('Text to send').and(page.locator(':not([value=hello])')).waitFor()
    assert.equal(await page.getByRole('alert').count(), 0)
  })

  step('it is switched off and on', async () => {
    const { page, visitor } = at
    await page.getByRole('button', { name: 'Switch off' }).click()
    await page.getByRole('status', { name: 'Board state' }).getByText('Off').waitFor()
    await visitor.look('virtual-off')
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByRole('button', { name: 'Switch on' }).click()
    await page.getByRole('status', { name: 'Board state' }).getByText('Running').waitFor()
    await serial(page).getByText(/^beat 1,/).first().waitFor()
  })

  step('a program that crashes is rolled back', async () => {
    const { page, visitor } = at
    await openProject(page)
    await compile(page, sketch('  abort();'))
    await deploy(page, 'v2-bad')
    await page.getByRole('listitem').filter({ hasText: 'Rolled back' }).filter({ hasText: 'v2-bad' }).first().waitFor(update)
    await page.getByText('The new program crashed.').first().waitFor()
    await page.getByTestId('running-version').getByText('v1', { exact: true }).waitFor(update)
    await visitor.look('virtual-rolled-back')
  })

  step('a project may do without the agent, and is warned', async () => {
    const { page, visitor } = at
    await openProject(page)
    await managed(page, false, () => visitor.look('unmanaged-settings'))
    await compile(page, sketch(''))
    await page.getByText('This firmware cannot update itself').waitFor()
    await visitor.look('unmanaged-build')
    await page.getByRole('button', { name: 'Deploy to a device' }).click()
    await page.getByRole('radio', { name: board }).check()
    const deploys = page.getByRole('button', { name: 'Deploy', exact: true })
    assert.ok(await deploys.isDisabled(), 'it is deployed without consent')
    await page.getByLabel('This firmware cannot update itself').check()
    assert.ok(await deploys.isEnabled())
    await visitor.look('unmanaged-consent')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await managed(page, true)
  })

  step('a build is flashed by cable, and everything erased', async () => {
    const { page, visitor } = at
    await openBoard(page)
    await page.getByRole('button', { name: 'Actions on the board' }).click()
    await page.getByRole('menuitem', { name: 'Flash by cable' }).click()
    await page.getByLabel('Program').selectOption({ label: project })
    await page.getByLabel('Build').waitFor()
    await visitor.look('virtual-flash')
    await page.getByLabel('Build').selectOption({ index: 2 }) // the first one, which is good
    await page.getByRole('button', { name: 'Flash', exact: true }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await serial(page).getByText(/^beat 1,/).first().waitFor()

    await page.getByRole('button', { name: 'Actions on the board' }).click()
    await page.getByRole('menuitem', { name: 'Erase' }).click()
    await page.getByRole('button', { name: 'Erase', exact: true }).click()
    await page.getByRole('alertdialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Provision the virtual board' }).click()
    await page.getByText('the present one becomes void').waitFor()
    await visitor.look('virtual-provision-again')
    await page.getByRole('button', { name: 'Flash and provision' }).click()
    await page.getByText('Provisioned: the board has stored it.').waitFor(update)
  })

  step('a board is deleted, and another becomes the same device', async () => {
    const { page, visitor } = at
    await page.getByRole('button', { name: 'Actions on the board' }).click()
    await page.getByRole('menuitem', { name: 'Delete the board' }).click()
    await page.getByRole('button', { name: 'Delete board' }).click()
    await page.getByRole('button', { name: 'Make a virtual board of it' }).click()
    await page.getByRole('list', { name: 'Steps' }).waitFor({ state: 'detached', ...update })
    await page.getByRole('status', { name: 'Board state' }).getByText('Running').waitFor()
    await visitor.look('virtual-again')
  })
}

/** The lines in the serial monitor. */
function serial(page) {
  return page.getByRole('log', { name: 'What the board writes' })
}

/** Waits until so many beats are shown. */
async function beats(page, count) {
  await page.waitForFunction(
    (n) => (document.querySelector('[role=log][aria-label="What the board writes"]')?.innerText.match(/beat \d+,.*\n/g) ?? []).length >= n,
    count,
    { timeout: 60_000 },
  )
}

/** Puts a sketch in place of what is there, and compiles it. */
async function compile(page, text) {
  const code = page.locator('.cm-content')
  await code.click()
  await page.keyboard.press('Control+a')
  await page.keyboard.press('Delete')
  await page.keyboard.insertText(text)
  await page.getByRole('button', { name: 'Compile' }).click()
  await page.getByRole('status', { name: 'Build state' }).getByText(/Waiting|Compiling|Fetching|Storing|Succeeded/).waitFor()
  await page.getByRole('status', { name: 'Build state' }).getByText('Succeeded').waitFor(build)
}

/** Deploys the build that is shown, and goes to the board's page. */
async function deploy(page, version) {
  await page.getByRole('button', { name: 'Deploy to a device' }).click()
  await page.getByRole('radio', { name: board }).check()
  await page.getByLabel('Version').fill(version)
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await page.getByRole('list', { name: 'Deployed to' }).getByRole('link', { name: board }).click()
  await page.getByRole('heading', { name: 'Virtual board' }).waitFor()
  const waiting = page.getByText(`Version ${version} waits for it`)
  // Again where the board asked before the deployment was known where it asks.
  for (let tries = 1; ; tries++) {
    await press(page)
    try {
      await waiting.waitFor({ state: 'detached', timeout: 5000 })
      return
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

/** Presses the trigger button, so that the board asks for an update at once. */
function press(page) {
  return page.getByRole('region', { name: 'Virtual board' }).getByRole('button', { name: 'Press BOOT' }).click()
}

async function openProject(page) {
  await page.getByRole('link', { name: 'Projects', exact: true }).click()
  await page.getByRole('link', { name: project }).click()
  await page.locator('.cm-content').waitFor()
}

export async function openBoard(page) {
  await page.getByRole('link', { name: 'Devices', exact: true }).click()
  await page.getByRole('link', { name: board }).click()
  await page.getByRole('heading', { name: 'Virtual board' }).waitFor()
}

/** Lets the farm add the update agent, or not. */
async function managed(page, on, look = async () => {}) {
  await page.getByRole('button', { name: 'Project settings' }).click()
  const toggle = page.getByRole('switch', { name: 'The farm adds the update agent' })
  assert.equal(await toggle.getAttribute('aria-checked'), String(!on))
  await toggle.click()
  if (!on) await page.getByText('Without it, this firmware cannot update itself').waitFor()
  await look()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

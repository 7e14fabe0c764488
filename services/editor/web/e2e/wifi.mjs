// The networks that devices are given, and how they are given to them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { folder } from './settings.mjs'

/**
 * The steps of the story in which networks are entered, and a provisioning file has them.
 *
 * @param step makes a step of the story
 * @param at what the story has: page and visitor
 * @param device the product ID of a device that works
 */
export function wifi(step, at, device) {
  step('Wi-Fi networks are entered, and their passwords never shown again', async () => {
    const { page, visitor } = at
    await page.getByRole('link', { name: 'Devices', exact: true }).click()
    await page.getByRole('button', { name: 'Wi-Fi' }).click()
    await enter(page, 1, 'shed', 'short')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('A Wi-Fi password has 8 to 63 characters').waitFor()
    await visitor.look('wifi-short')
    await enter(page, 1, 'shed', 'a long secret')
    await page.getByRole('button', { name: 'Add a network' }).click()
    await enter(page, 2, 'yard', '')
    await page.getByRole('button', { name: 'Move network 2 up' }).click()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })

    await page.getByRole('link', { name: device }).click()
    const networks = page.getByRole('list', { name: 'Networks of the workspace' }).getByRole('listitem')
    await networks.first().waitFor()
    assert.deepEqual(await networks.allInnerTexts(), ['yard', 'shed'])
    await page.getByRole('button', { name: 'Edit the networks' }).click()
    await enter(page, 1, 'desk', 'another secret')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('list', { name: 'Networks of this device' }).getByText('desk').waitFor()
    await page.getByRole('button', { name: 'Edit the networks' }).click()
    await page.getByLabel('Network 1', { exact: true }).waitFor()
    assert.equal(await page.getByLabel('Password of network 1').inputValue(), '')
    await visitor.look('wifi-device')
    await page.getByRole('button', { name: 'Cancel' }).click()
  })

  step('a new provisioning file has them, and warns that the former key is void', async () => {
    const { page, visitor } = at
    await page.getByRole('button', { name: `Download ${device}.json` }).click()
    await page.getByText('Its present key becomes void').waitFor()
    await visitor.look('provision-again')
    const path = await visitor.download(page.getByRole('button', { name: 'Make and download' }), folder)
    const { wifi, key } = JSON.parse(readFileSync(path, 'utf8'))
    assert.deepEqual(wifi, [{ ssid: 'desk', password: 'another secret' }])
    assert.match(key, /^fk_/)
  })
}

async function enter(page, number, ssid, password) {
  await page.getByLabel(`Network ${number}`, { exact: true }).fill(ssid)
  await page.getByLabel(`Password of network ${number}`).fill(password)
}

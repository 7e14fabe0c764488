// Who belongs to a workspace.

const grace = 'grace@example.org'

/**
 * The steps of the story in which somebody is added, gets another role, and is removed.
 *
 * @param step makes a step of the story
 * @param at what the story has: page and visitor
 */
export function members(step, at) {
  step('a person is added, gets another role, and is removed', async () => {
    const { page, visitor } = at
    await page.getByRole('button', { name: /: menu$/ }).click()
    await page.getByRole('menuitem', { name: 'Members' }).click()
    await page.getByText('(you)').waitFor()
    await page.getByRole('button', { name: 'Add a person' }).click()
    await page.getByLabel('Login').fill(grace)
    await page.getByLabel('First password').fill('a long password')
    await visitor.look('member-new')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    const role = page.getByLabel(`Role of ${grace}`)
    await role.selectOption('viewer')
    await page.getByText(`${grace} is viewer now`).waitFor()
    await visitor.look('members')

    await page.getByRole('button', { name: 'Leave the workspace' }).click()
    await page.getByRole('button', { name: 'Leave', exact: true }).click()
    await page.getByRole('alertdialog').getByRole('alert').waitFor() // the last owner stays
    await page.getByRole('button', { name: 'Cancel' }).click()

    await page.getByRole('button', { name: `Remove ${grace}` }).click()
    await page.getByRole('button', { name: 'Remove', exact: true }).click()
    await role.waitFor({ state: 'detached' })
  })
}

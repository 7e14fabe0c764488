import { expect, test } from 'vitest'
import { boardFiles, deployable, downloads, isAgents } from './outputs'
import type { Build, Output } from '$lib/api/types'

const output = (role: Output['role'], name: string): Output => ({ role, name, size: 1, sha256: '' })
const build = (...outputs: Output[]): Pick<Build, 'state' | 'outputs'> => ({ state: 'succeeded', outputs })

test.each([
  ['a sketch', build(output('elf', 'a.elf'), output('app', 'a.bin')), true],
  ['a release', { ...build(output('index', 'index')), agent: { version: '1', flash: 1, ram: 0 } }, true],
  ['a release without agent', build(output('index', 'index')), false],
  ['a hex file', build(output('hex', 'a.hex')), false],
  ['a bundle alone', build(output('bundle', 'a.tar')), false],
  ['a failure', { ...build(output('app', 'a.bin')), state: 'failed' as const }, false],
])('%s is deployed or not', (_, build, can) => expect(deployable(build)).toBe(can))

test('files on the board are listed apart, by path', () => {
  const all = build(output('index', 'index'), output('file', 'main.py'), output('bundle', 'a.tar'), output('file', 'lib/a.py'))
  expect(downloads(all).map((o) => o.name)).toEqual(['index', 'a.tar'])
  expect(boardFiles(all).map((o) => o.name)).toEqual(['lib/a.py', 'main.py'])
})

test.each([
  ['flota_agent.py', true],
  ['flota_p256.mpy', true],
  ['lib/flota_x.py', false],
  ['main.py', false],
])('%s is the agent’s: %s', (name, agents) => expect(isAgents({ name })).toBe(agents))

import { expect, test } from 'vitest'
import { control, keyCode, Keys } from './keys'

const key = (name: string, modifiers = {}) => keyCode({ key: name, ctrlKey: false, altKey: false, metaKey: false, ...modifiers })

test.each([
  ['Enter', {}, '\r'],
  ['Backspace', {}, '\x7f'],
  ['ArrowUp', {}, '\x1b[A'],
  ['c', { ctrlKey: true }, '\x03'],
  ['D', { ctrlKey: true }, '\x04'],
  ['w', { ctrlKey: true }, undefined],
  ['c', { metaKey: true }, undefined],
  ['a', {}, undefined],
  ['F5', {}, undefined],
])('%s with %j sends %j', (name, modifiers, code) => expect(key(name, modifiers)).toBe(code))

test('Ctrl-B is 2', () => expect(control('b')).toBe('\x02'))

test('keys go in order, those that were typed meanwhile in one request', async () => {
  const sent: string[] = []
  const keys = new Keys(async (text) => void sent.push(text))
  const done = keys.type('a')
  void keys.type('b')
  void keys.type('c')
  await done
  expect(sent).toEqual(['a', 'bc'])
})

test('what waits behind a failure is dropped, and the next goes', async () => {
  const sent: string[] = []
  let broken = true
  const keys = new Keys(async (text) => {
    if (broken) throw new Error('gone')
    sent.push(text)
  })
  const first = keys.type('a')
  void keys.type('b')
  await expect(first).rejects.toThrow('gone')
  broken = false
  await keys.type('c')
  expect(sent).toEqual(['c'])
})

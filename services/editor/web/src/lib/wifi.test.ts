import { expect, test } from 'vitest'
import { asNetworks, fieldAt, keepsPassword, moved, passwordFault, ssidFault, type Entry } from './wifi'

const entry = (ssid: string, password = '', stored = '', key = 0): Entry => ({ key, ssid, password, stored })

test('a stored password stays until another is typed or the network gets another name', () => {
  expect(keepsPassword(entry('shed', '', 'shed'))).toBe(true)
  expect(keepsPassword(entry('shed2', '', 'shed'))).toBe(false)
  expect(asNetworks([entry('shed', '', 'shed'), entry('home', 'new secret', 'home'), entry('open')])).toEqual([
    { ssid: 'shed' },
    { ssid: 'home', password: 'new secret' },
    { ssid: 'open', password: '' },
  ])
})

test.each([
  [0, 1, ['b', 'a', 'c']],
  [2, 0, ['c', 'a', 'b']],
  [0, -1, ['a', 'b', 'c']],
  [2, 3, ['a', 'b', 'c']],
])('from %i to %i', (from, to, list) => expect(moved(['a', 'b', 'c'], from, to)).toEqual(list))

test.each([
  ['shed', ''],
  ['', 'Type the name of the network.'],
  ['x'.repeat(33), 'A network’s name has at most 32 bytes.'],
  ['ü'.repeat(17), 'A network’s name has at most 32 bytes.'],
  ['twin', 'This network is there twice.'],
])('the name %j: %s', (ssid, fault) => expect(ssidFault(entry(ssid, '', '', 1), [entry('twin', '', '', 2)])).toBe(fault))

test.each([
  ['', true],
  ['1234567', false],
  ['12345678', true],
  ['x'.repeat(63), true],
  ['x'.repeat(64), false],
  ['0aF'.repeat(21) + '9', true],
])('the password %j is fine: %s', (password, fine) => expect(passwordFault(entry('s', password)) === '').toBe(fine))

test.each([
  ['networks.2.password', { index: 2, input: 'password' }],
  ['networks[0].ssid', { index: 0, input: 'ssid' }],
  ['networks', undefined],
])('the field %s', (field, at) => expect(fieldAt(field)).toEqual(at))

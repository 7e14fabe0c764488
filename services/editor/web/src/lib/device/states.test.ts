import { expect, test } from 'vitest'
import type { Device } from '$lib/api/types'
import { afterEvent, afterRead, deviceState, matches, reasonSentence, stateWords, wasReplaced } from './states'

const device: Device = {
  device: 'd1', product_id: 'bot_001', name: 'Kitchen', tags: ['lab'], state: 'idle', online: false, revoked: false, running_version: 'r1',
}

test('states are plain words', () => {
  expect(deviceState(device).label).toBe('Nothing deployed')
  expect(deviceState({ ...device, state: 'downloading', percent: 40 }).label).toBe('Downloading 40 %')
  expect(deviceState({ ...device, revoked: true }).label).toBe('Key revoked')
  expect(stateWords('from_the_future').label).toBe('from_the_future')
})

test('a reason is a sentence, a firmware’s own word stays', () => {
  expect(reasonSentence('no_checkin')).toMatch(/did not reach/)
  expect(reasonSentence('battery_low')).toBe('battery_low')
  expect(reasonSentence(undefined)).toBe('')
})

test('an event moves a device on and keeps what it does not name', () => {
  const now = new Date('2026-01-01T00:00:30Z')
  const after = afterEvent(device, { device: 'd1', state: 'downloading', percent: 10, wanted_version: 'r2', seen_at: '2026-01-01T00:00:00Z' }, now)
  expect(after).toMatchObject({ state: 'downloading', percent: 10, running_version: 'r1', wanted_version: 'r2', online: true, name: 'Kitchen' })
  expect(afterEvent(after, { device: 'd1', state: 'confirmed', running_version: 'r2' }, now)).toMatchObject({ percent: undefined, running_version: 'r2' })
})

test('what is read does not make a device seen earlier than events said', () => {
  const at = (seen_at?: string) => ({ ...device, seen_at })
  const now = new Date('2026-01-01T00:01:00Z')
  expect(afterRead(at('2026-01-01T00:00:00Z'), at('2026-01-01T00:00:50Z'), now)).toMatchObject({ seen_at: '2026-01-01T00:00:50Z', online: true })
  expect(afterRead(at('2026-01-01T00:00:50Z'), at('2026-01-01T00:00:00Z'), now).seen_at).toBe('2026-01-01T00:00:50Z')
  expect(afterRead(at(), at('2025-12-31T00:00:00Z'), now)).toMatchObject({ seen_at: '2025-12-31T00:00:00Z', online: false })
  expect(afterRead(at(), undefined, now).seen_at).toBeUndefined()
})

test.each([
  ['wanted', 'confirmed', 'r2', true],
  ['wanted', 'confirmed', 'r1', false],
  ['wanted', 'wanted', 'r2', false],
  ['confirmed', 'confirmed', 'r2', false],
] as const)('%s after %s of %s', (state, last, version, replaced) => {
  const history = [{ at: '2026-01-01T00:00:00Z', state: last, deployment: 1, version }]
  expect(wasReplaced({ ...device, state, wanted_version: 'r2' }, history)).toBe(replaced)
})

test.each([
  ['', true],
  ['bot kitchen', true],
  ['LAB', true],
  ['nothing deployed', true],
  ['bot_002', false],
])('a search for %j', (search, found) => expect(matches(device, search)).toBe(found))

import { expect, test } from 'vitest'
import { ago, bytes, duration } from './format'

const now = Date.parse('2026-01-02T00:00:00Z')

test.each([
  ['2026-01-01T23:59:58Z', 'just now'],
  ['2026-01-01T23:59:30Z', '30 seconds ago'],
  ['2026-01-01T23:57:00Z', '3 minutes ago'],
  ['2026-01-01T21:00:00Z', '3 hours ago'],
  ['2025-12-30T00:00:00Z', '3 days ago'],
  ['2026-01-03T00:00:00Z', 'just now'], // a clock that is off
])('%s was %s', (time, words) => expect(ago(time, now)).toBe(words))

test.each([
  [999, '999 B'],
  [1_440, '1.4 kB'],
  [290_000, '290 kB'],
  [1_310_720, '1.3 MB'],
])('%i bytes are %s', (n, words) => expect(bytes(n)).toBe(words))

test('durations', () => {
  expect(duration('2026-01-01T00:00:00Z', '2026-01-01T00:00:01.234Z')).toBe('1.2 s')
  expect(duration('2026-01-01T00:00:00Z', '2026-01-01T00:02:05Z')).toBe('2 min 5 s')
})

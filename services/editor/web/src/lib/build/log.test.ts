import { expect, test } from 'vitest'
import { Log, mostLines, visible } from './log'

const lines = (...texts: string[]) => texts.map((text) => ({ at: 0, source: 'stdout' as const, text }))
const texts = (log: Log) => log.lines.map((l) => l.text)

test('chunks follow each other, and a later attempt begins anew', () => {
  const log = new Log()
  log.add({ attempt: 1, lines: lines('a', 'b') })
  log.add({ attempt: 1, lines: lines('c') })
  expect(texts(log)).toEqual(['a', 'b', 'c'])
  log.add({ attempt: 2, lines: lines('x') })
  log.add({ attempt: 1, lines: lines('late') })
  expect(texts(log)).toEqual(['x'])
})

test('a flood drops the oldest lines and says how many', () => {
  const log = new Log()
  log.add({ attempt: 1, lines: lines(...Array.from({ length: mostLines + 5 }, (_, i) => String(i))) })
  expect(log.lines).toHaveLength(mostLines)
  expect(log.dropped).toBe(5)
  expect(log.lines[0]!.text).toBe('5')
})

test.each([
  [1000, 0, 200, { from: 0, to: 12 }],
  [1000, 2000, 200, { from: 98, to: 112 }],
  [5, 0, 200, { from: 0, to: 5 }],
  [0, 0, 200, { from: 0, to: 0 }],
  [10, 90_000, 200, { from: 10, to: 10 }], // scrolled further than a log that became shorter
])('of %i lines, scrolled by %i, a height of %i shows %j', (count, scrollTop, height, range) =>
  expect(visible(count, 20, scrollTop, height, 2)).toEqual(range))

import { expect, test } from 'vitest'
import { mostLines, onScreen, SerialLog, shown } from './serial'

const piece = (offset: number, text: string, end = offset + new TextEncoder().encode(text).length) => ({ offset, end, text })
const texts = (log: SerialLog) => log.lines.map((l) => l.text)

test('memory and events make one text, whichever comes first', () => {
  const log = new SerialLog()
  expect(log.add(piece(6, 'two\nth'), 1)).toBe(false) // the memory is not read yet
  expect(log.restore(piece(2, 'one\ntwo\n', 10), 1)).toBe(true)
  expect(log.add(piece(12, 'ree\n'), 1)).toBe(true)
  expect(texts(log)).toEqual(['one', 'two', 'three'])
})

test('nothing is shown twice', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'a\nb\n'), 1)
  log.add(piece(0, 'a\n'), 1)
  log.add(piece(2, 'b\nc\n'), 1)
  log.restore(piece(2, 'b\nc\n'), 1)
  log.restore(piece(4, 'c\nd\n', 8), 1)
  expect(texts(log)).toEqual(['a', 'b', 'c', 'd'])
})

test('offsets are bytes, also of what is longer than a letter', () => {
  const log = new SerialLog()
  log.restore(piece(0, '21 °C\n'), 1) // 7 bytes
  expect(log.add(piece(7, '22 °C\n'), 1)).toBe(true)
  expect(log.add(piece(7, '22 °C\n23'), 1)).toBe(true)
  expect(texts(log)).toEqual(['21 °C', '22 °C', '23'])
})

test('after bytes that are no text the next piece is neither cut nor missed', () => {
  const log = new SerialLog()
  log.restore(piece(0, '', 0), 1)
  log.add(piece(0, '\ufffd\ufffdx\n', 4), 1)
  expect(log.add(piece(4, 'next\n'), 1)).toBe(true)
  expect(texts(log)).toEqual(['\ufffd\ufffdx', 'next'])
})

test('what was missed is fetched from memory, in its order', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'a\n'), 1)
  expect(log.add(piece(4, 'c\n'), 1)).toBe(false)
  expect(log.add(piece(6, 'd\n'), 1)).toBe(false)
  expect(texts(log)).toEqual(['a'])
  expect(log.restore(piece(0, 'a\nb\n', 4), 1)).toBe(true)
  expect(texts(log)).toEqual(['a', 'b', 'c', 'd'])
})

test('what is lost even to the memory is said', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'a\nhal'), 1)
  log.restore(piece(100, 'z\n'), 1)
  expect(texts(log)).toEqual(['a', 'hal', '… 95 bytes were missed …', 'z'])
})

test('an answer that is older than the last event changes nothing', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'a\n'), 1)
  log.add(piece(2, 'b\n'), 1)
  log.restore(piece(0, 'a\n', 2), 1)
  log.add(piece(4, 'c\n'), 1)
  expect(texts(log)).toEqual(['a', 'b', 'c'])
})

test('a line has the time of its first character; what was there before has none', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'old\n'), 10)
  log.add(piece(4, 'ne'), 20)
  log.add(piece(6, 'w\n'), 30)
  expect(log.lines).toEqual([{ text: 'old', at: undefined }, { text: 'new', at: 20 }])
})

test('a flood drops the oldest lines, and a line without end is broken', () => {
  const log = new SerialLog()
  const flood = Array.from({ length: mostLines + 3 }, (_, i) => `${i}\n`).join('')
  log.restore(piece(0, flood), 1)
  expect(log.lines).toHaveLength(mostLines)
  expect(log.dropped).toBe(3)
  log.clear()
  log.add(piece(flood.length, 'x'.repeat(4500)), 1)
  expect(log.lines.map((l) => l.text.length)).toEqual([2000, 2000, 500])
})

test('cleared, it goes on with what comes', () => {
  const log = new SerialLog()
  log.restore(piece(0, 'a\nb'), 1)
  log.clear()
  log.add(piece(3, 'c\n'), 1)
  log.restore(piece(0, 'a\nbc\n', 5), 1)
  expect(texts(log)).toEqual(['c'])
})

test.each([
  ['\x1b[0;32mI (305) boot: ok\x1b[0m\r', 'I (305) boot: ok'],
  ['10 %\r20 %\r30 %', '30 %'],
  ['tab\tstays, \x07bell does not', 'tab\tstays, bell does not'],
  ['cut off \x1b[0;3', 'cut off '],
  ['>>> 1+22\b \b3', '>>> 1+23'],
  ['>>> ac\bbc\b', '>>> abc'],
  ['>>> abc\x1b[3D\x1b[K', '>>> '],
  ['\b\b>>> \x1b[9Cx', '>>> x'],
])('%j is shown as %j', (raw, text) => expect(shown(raw)).toBe(text))

test.each([
  ['>>> ', 4],
  ['>>> abc\b\b', 5],
  ['>>> abc\x1b[3D', 4],
  ['>>> abc\x1b[9D\x1b[2C', 2],
  ['old\rnew', 3],
])('the cursor of %j stands at %i', (raw, cursor) => expect(onScreen(raw).cursor).toBe(cursor))

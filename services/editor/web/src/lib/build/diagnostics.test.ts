import { Text } from '@codemirror/state'
import { expect, test } from 'vitest'
import type { Diagnostic } from '$lib/api/types'
import { countProblems, mark, marksOf, position } from './diagnostics'

const doc = Text.of(['void setup() {', '  blinkk(3);', '  int x = 1', '', '}'])
const at = (line: number, column: number, over: Partial<Diagnostic> = {}): Diagnostic => ({
  file: 'blink.ino', line, column, severity: 'error', message: 'm', ...over,
})
const marked = (d: Diagnostic) => {
  const { from, to } = mark(doc, d)
  return doc.sliceString(from, to)
}

test('a diagnostic marks its word', () => expect(marked(at(2, 3))).toBe('blinkk'))
test('a sign that is no word is marked alone', () => expect(marked(at(2, 9))).toBe('('))
test('behind the end of a line, its last character is marked', () => expect(marked(at(3, 12))).toBe('1'))

test.each([
  [4, 1], // an empty line
  [99, 1], // the file is shorter by now
  [0, 0], // a compiler that knows no line
  [2, 500],
])('line %i, column %i stays inside the document', (line, column) => {
  const { from, to } = mark(doc, at(line, column))
  expect(from).toBeGreaterThanOrEqual(0)
  expect(to).toBeGreaterThanOrEqual(from)
  expect(to).toBeLessThanOrEqual(doc.length)
  expect(position(doc, line, column)).toBeLessThanOrEqual(doc.length)
})

test('a file gets its own marks only', () => {
  const marks = marksOf(doc, [at(2, 3), at(1, 1, { file: 'other.h' }), at(1, 6, { severity: 'note' })], 'blink.ino')
  expect(marks.map((m) => m.severity)).toEqual(['error', 'info'])
})

test('what points at a line that is gone by now is left out', () => {
  expect(marksOf(doc, [at(6, 1), at(4, 5), at(4, 1)], 'blink.ino')).toHaveLength(1)
})

test('problems are counted in words', () => {
  expect(countProblems([])).toBe('')
  expect(countProblems([at(1, 1), at(1, 1), at(1, 1, { severity: 'warning' })])).toBe('2 errors, 1 warning')
})

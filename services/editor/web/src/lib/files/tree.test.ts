import { expect, test } from 'vitest'
import { buildTree, pathFault } from './tree'

test('folders come first, and names go by number', () => {
  const tree = buildTree(['b.ino', 'src/z.h', 'src/deep/x.cpp', 'part10.h', 'part2.h'])
  expect(tree.map((n) => n.path)).toEqual(['src', 'b.ino', 'part2.h', 'part10.h'])
  expect(tree[0]!.children!.map((n) => n.path)).toEqual(['src/deep', 'src/z.h'])
  expect(tree[0]!.children![0]!.children).toEqual([{ name: 'x.cpp', path: 'src/deep/x.cpp' }])
})

test('no files, no tree', () => expect(buildTree([])).toEqual([]))

test.each([
  ['motor.h', ''],
  ['src/a/b.cpp', ''],
  ['', 'Type'],
  ['../x', 'no path'],
  ['a//b', 'no path'],
  ['/etc/passwd', 'no path'],
  ['a\\b', 'no \\'],
  ['BLINK.ino', 'already'],
  ['src', 'folder'],
  ['x'.repeat(201), '200'],
])('%s as a new path', (path, fault) => {
  const said = pathFault(path, ['blink.ino', 'src/a.h'])
  if (fault) expect(said).toContain(fault)
  else expect(said).toBe('')
})

import { expect, test } from 'vitest'
import { matchPath } from './router'

test.each([
  ['/', '/', {}],
  ['/projects', '/projects/', {}],
  ['/projects/:project', '/projects/p%201', { project: 'p 1' }],
  ['/projects/:project/builds/:build', '/projects/p/builds/b', { project: 'p', build: 'b' }],
  ['/projects/:project', '/projects', undefined],
  ['/projects/:project', '/devices/d', undefined],
  ['/projects/:project', '/projects/%', undefined],
])('%s against %s', (pattern, path, params) => expect(matchPath(pattern, path)).toEqual(params))

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Autosave, type SaveState } from './autosave'

const conflict = new Error('conflict')

/** A server that keeps one file; its digest is `#` and the content. */
function server(content: string) {
  const file = {
    content,
    down: false,
    saves: [] as string[],
    save: async (text: string, base: string) => {
      await Promise.resolve()
      if (file.down) throw new TypeError('no connection')
      if (base !== `#${file.content}`) throw conflict
      file.saves.push(text)
      file.content = text
      return `#${text}`
    },
  }
  return file
}

function open(content = 'a') {
  const file = server(content)
  const states: SaveState[] = []
  const autosave = new Autosave(content, `#${content}`, {
    save: file.save,
    isConflict: (error) => error === conflict,
    onState: (state) => states.push(state),
    rest: 800,
  })
  return { file, states, autosave }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('it saves once, when typing rests', async () => {
  const { file, states, autosave } = open()
  autosave.edit('ab')
  await vi.advanceTimersByTimeAsync(700)
  autosave.edit('abc')
  await vi.advanceTimersByTimeAsync(700)
  expect(file.saves).toEqual([])
  await vi.advanceTimersByTimeAsync(200)
  expect(file.saves).toEqual(['abc'])
  expect(states).toEqual(['dirty', 'saving', 'saved'])
})

test('what is typed back to the saved content needs no save', async () => {
  const { file, states, autosave } = open()
  autosave.edit('ab')
  autosave.edit('a')
  expect(states).toEqual(['dirty', 'saved'])
  expect(await autosave.flush()).toBe(true)
  expect(file.saves).toEqual([])
})

test('what is typed during a save follows it, on the new base', async () => {
  const { file, autosave } = open()
  autosave.edit('ab')
  const flushed = autosave.flush()
  autosave.edit('abc')
  expect(await flushed).toBe(true)
  expect(file.saves).toEqual(['ab', 'abc'])
  expect(autosave.base).toBe('#abc')
})

test('without a connection it tries again until it works', async () => {
  const { file, states, autosave } = open()
  file.down = true
  autosave.edit('ab')
  await vi.advanceTimersByTimeAsync(800)
  expect(autosave.state).toBe('failed')
  expect(await autosave.flush()).toBe(false)
  file.down = false
  await vi.advanceTimersByTimeAsync(10_000)
  expect(file.saves).toEqual(['ab'])
  expect(states.at(-1)).toBe('saved')
})

test('a conflict sends nothing more until a person decides', async () => {
  const { file, autosave } = open()
  file.content = 'theirs'
  autosave.edit('mine')
  expect(await autosave.flush()).toBe(false)
  autosave.edit('mine too')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(autosave.state).toBe('conflict')
  expect(file.content).toBe('theirs')
})

test('a conflict ends with mine', async () => {
  const { file, autosave } = open()
  file.content = 'theirs'
  autosave.edit('mine')
  await autosave.flush()
  expect(await autosave.keepMine('#theirs')).toBe(true)
  expect(file.content).toBe('mine')
})

test('a conflict ends with theirs', async () => {
  const { file, autosave } = open()
  file.content = 'theirs'
  autosave.edit('mine')
  await autosave.flush()
  autosave.reset('theirs', '#theirs')
  expect(autosave.state).toBe('saved')
  autosave.edit('theirs and mine')
  expect(await autosave.flush()).toBe(true)
  expect(file.content).toBe('theirs and mine')
})

test('after stop nothing is sent', async () => {
  const { file, autosave } = open()
  autosave.edit('ab')
  autosave.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(file.saves).toEqual([])
})

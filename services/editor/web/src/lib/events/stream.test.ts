import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { EventStream, type Source, type Status } from './stream'

class FakeSource implements Source {
  closed = false
  #listeners = new Map<string, ((event: MessageEvent) => void)[]>()
  constructor(readonly url: string) {}
  addEventListener(type: string, listener: (event: MessageEvent) => void) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }
  close() {
    this.closed = true
  }
  emit(type: string, data = '', lastEventId = '') {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data, lastEventId } as MessageEvent)
  }
  cut() {
    this.emit('error')
  }
}

function page() {
  const sources: FakeSource[] = []
  const events: [string, unknown][] = []
  const status: Status[] = []
  const onReset = vi.fn()
  const refresh = vi.fn(async () => true)
  const stream = new EventStream({
    url: '/events',
    events: ['build', 'log'],
    open(url) {
      const source = new FakeSource(url)
      sources.push(source)
      return source
    },
    refresh,
    onEvent: (name, data) => events.push([name, data]),
    onReset,
    onStatus: (s) => status.push(s),
  })
  return { stream, sources, events, status, onReset, refresh, last: () => sources.at(-1)! }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('events are parsed, and what is no JSON is passed over', () => {
  const p = page()
  p.stream.start()
  p.last().emit('open')
  p.last().emit('build', '{"build":"b1","state":"running"}', '7')
  p.last().emit('build', 'not json', '8')
  p.last().emit('other', '{}', '9')
  expect(p.events).toEqual([['build', { build: 'b1', state: 'running' }]])
  expect(p.status).toEqual(['open'])
})

test('watching a build opens the stream anew behind the last event, and once only', () => {
  const p = page()
  p.stream.start()
  p.last().emit('build', '{}', '7-3')
  p.stream.watch('build', 'b1')
  p.stream.watch('build', 'b1')
  expect(p.sources.map((s) => s.url)).toEqual(['/events', '/events?build=b1&after=7-3'])
  expect(p.sources[0]!.closed).toBe(true)
})

test('a build and a board are watched on one stream, each until it is not', () => {
  const p = page()
  p.stream.watch('build', 'b1')
  p.stream.watch('board', 'v1')
  p.stream.start()
  p.stream.watch('board', '')
  p.stream.watch('board', '')
  expect(p.sources.map((s) => s.url)).toEqual(['/events?build=b1&board=v1', '/events?build=b1'])
})

test('a connection that was replaced is not listened to any more', () => {
  const p = page()
  p.stream.start()
  p.stream.watch('build', 'b1')
  p.sources[0]!.emit('build', '{}', '9')
  p.sources[0]!.cut()
  expect(p.events).toEqual([])
  expect(p.status).toEqual([])
})

test('after a cut the token is refreshed and the stream goes on behind the last event', async () => {
  const p = page()
  p.stream.start()
  p.last().emit('build', '{}', '41')
  p.last().cut()
  expect(p.last().closed).toBe(true)
  await vi.advanceTimersByTimeAsync(500)
  expect(p.refresh).toHaveBeenCalledTimes(1)
  expect(p.last().url).toBe('/events?after=41')
  p.last().emit('open')
  expect(p.status).toEqual(['lost', 'open'])
  expect(p.onReset).not.toHaveBeenCalled()
})

test('a cut before the first event may have swallowed some', async () => {
  const p = page()
  p.stream.start()
  p.last().cut()
  await vi.advanceTimersByTimeAsync(500)
  expect(p.sources).toHaveLength(2)
  expect(p.onReset).toHaveBeenCalledTimes(1)
})

test('pauses grow while the server is away, and a working network cuts them short', async () => {
  const p = page()
  p.stream.start()
  p.last().cut()
  await vi.advanceTimersByTimeAsync(500)
  p.last().cut()
  await vi.advanceTimersByTimeAsync(500)
  expect(p.sources).toHaveLength(2)
  p.stream.retry()
  expect(p.sources).toHaveLength(3)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(p.sources).toHaveLength(3)
})

test('a reset says to read everything anew, from a new position', () => {
  const p = page()
  p.stream.start()
  p.last().emit('build', '{}', '5')
  p.last().emit('reset', '', '900')
  expect(p.onReset).toHaveBeenCalledTimes(1)
  expect(p.stream.url).toBe('/events?after=900')
})

test('a paused stream goes on behind the last event', () => {
  const p = page()
  p.stream.start()
  p.last().emit('build', '{}', '7')
  p.stream.pause()
  expect(p.last().closed).toBe(true)
  p.stream.watch('build', 'b1')
  expect(p.sources).toHaveLength(1)
  p.stream.start()
  expect(p.last().url).toBe('/events?build=b1&after=7')
  expect(p.onReset).not.toHaveBeenCalled()
})

test('a pause without a position may have swallowed events', () => {
  const p = page()
  p.stream.start()
  p.stream.pause()
  p.stream.start()
  expect(p.onReset).toHaveBeenCalledTimes(1)
})

test('after stop nothing is opened any more', async () => {
  const p = page()
  p.stream.start()
  p.last().cut()
  p.stream.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(p.sources).toHaveLength(1)
  expect(p.last().closed).toBe(true)
})

import { refresh } from '$lib/api/client'
import type { BoardEvent, BuildEvent, DeviceEvent, LogEvent, SerialEvent } from '$lib/api/types'
import { EventStream, type Status } from './stream'

interface Events {
  board: BoardEvent
  build: BuildEvent
  device: DeviceEvent
  log: LogEvent
  serial: SerialEvent
  /** Events were missed; what is shown has to be read anew. */
  reset: undefined
  /** The stream is there, for the first time or again. */
  open: undefined
}

type Listener<N extends keyof Events> = (event: Events[N]) => void

const listeners: { [N in keyof Events]: Set<Listener<N>> } = {
  board: new Set(),
  build: new Set(),
  device: new Set(),
  log: new Set(),
  serial: new Set(),
  reset: new Set(),
  open: new Set(),
}

let current = $state<Status>('connecting')

/** Whether the page hears of what happens, for the reconnect banner. */
export const connection = {
  get status() {
    return current
  },
}

const stream = new EventStream({
  url: '/api/editor/v1/events',
  events: ['board', 'build', 'device', 'log', 'serial'],
  open: (url) => new EventSource(url),
  refresh,
  onEvent: (name, data) => emit(name as 'build', data as BuildEvent),
  onReset: () => emit('reset', undefined),
  onStatus(status) {
    current = status
    if (status === 'open') emit('open', undefined)
  },
})

function emit<N extends keyof Events>(name: N, event: Events[N]) {
  for (const listener of listeners[name]) listener(event)
}

/** Listens until the returned function is called; made to be returned from an $effect. */
export function on<N extends keyof Events>(name: N, listener: Listener<N>): () => void {
  listeners[name].add(listener)
  return () => void listeners[name].delete(listener)
}

const hiddenFor = 30_000 // before a page that nobody sees gives its connection back
let wanted = false
let timer: ReturnType<typeof setTimeout> | undefined

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer)
  if (!wanted) return
  if (document.hidden) timer = setTimeout(() => stream.pause(), hiddenFor)
  else stream.start()
})

export const events = {
  start() {
    wanted = true
    current = 'connecting'
    stream.start()
  },
  stop() {
    wanted = false
    clearTimeout(timer)
    stream.stop()
  },
  watch: (what: 'build' | 'board', id: string) => stream.watch(what, id),
  retry: () => stream.retry(),
}

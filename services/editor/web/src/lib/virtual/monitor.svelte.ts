import { sentence } from '$lib/api/error'
import { boards, ok } from '$lib/api/client'
import type { SerialEvent } from '$lib/api/types'
import { events, on } from '$lib/events/events.svelte'
import { SerialLog, type SerialLine } from './serial'

const pause = 50 // between two drawings, in milliseconds
const again = 1000 // before what is missing still is asked for once more

/** The serial port of one virtual board, live while a component follows it. */
export class Monitor {
  lines = $state.raw<readonly SerialLine[]>([])
  dropped = $state(0)
  /** Where the cursor stands in the last line; undefined between two lines. */
  cursor = $state<number>()
  fault = $state('')
  #log = new SerialLog()
  #board: string
  #drawing: ReturnType<typeof setTimeout> | undefined
  #asking: ReturnType<typeof setTimeout> | undefined
  #reading = false
  #stale = false // something happened since the reading began

  constructor(board: string) {
    this.#board = board
  }

  /** Shows what the port's memory has and all that comes, until the returned function is called. */
  follow(): () => void {
    events.watch('board', this.#board)
    const stops = [
      on('serial', (event) => this.#heard(event)),
      on('open', () => void this.read()), // what was written while the stream was away is in the memory
      on('reset', () => void this.read()),
    ]
    void this.read()
    return () => {
      stops.forEach((stop) => stop())
      clearTimeout(this.#drawing)
      clearTimeout(this.#asking)
      events.watch('board', '')
    }
  }

  /** Reads the port's memory; one reading at a time. */
  async read() {
    this.#stale = this.#reading
    if (this.#reading) return
    this.#reading = true
    let complete = true
    try {
      const { offset, end, text } = await ok(boards.GET('/boards/{board}/serial', { params: this.#params }))
      complete = this.#log.restore({ offset, end: end ?? offset, text }, Date.now())
      this.fault = ''
      this.#draw()
    } catch (error) {
      this.fault = sentence(error)
    }
    this.#reading = false
    if (this.#stale) void this.read()
    else if (!complete) this.#ask()
  }

  /** Writes to the board's input. */
  async send(text: string) {
    await ok(boards.POST('/boards/{board}/serial', { params: this.#params, body: { text } }))
  }

  clear() {
    this.#log.clear()
    this.#draw()
  }

  get #params() {
    return { path: { board: this.#board } }
  }

  #heard(event: SerialEvent) {
    if (event.board !== this.#board) return
    if (!this.#log.add(event, Date.now())) this.#ask()
    this.#drawing ??= setTimeout(() => this.#draw(), pause)
  }

  #ask() {
    this.#asking ??= setTimeout(() => {
      this.#asking = undefined
      void this.read()
    }, again)
  }

  #draw() {
    clearTimeout(this.#drawing)
    this.#drawing = undefined
    this.lines = this.#log.lines
    this.dropped = this.#log.dropped
    this.cursor = this.#log.cursor
  }
}

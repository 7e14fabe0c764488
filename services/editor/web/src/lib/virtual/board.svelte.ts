import { isAbsent, sentence } from '$lib/api/error'
import { boards, ok } from '$lib/api/client'
import type { BoardEvent, Offer, VirtualBoard } from '$lib/api/types'
import { on } from '$lib/events/events.svelte'
import { triggerPin } from './states'

const press = 200 // milliseconds that a finger stays on the button

/** The virtual board that a device is, live while a component follows it. */
export class DeviceBoard {
  /** Undefined where the device is none, or no service runs virtual boards. */
  board = $state.raw<VirtualBoard>()
  /** It was deleted here: nothing works as this device any more, though it counts as online for a while. */
  removed = $state(false)
  /** What virtual boards this installation runs. */
  offers = $state.raw<Offer[]>([])
  fault = $state('')
  #device: string

  constructor(device: string) {
    this.#device = device
  }

  get on(): boolean {
    return this.board !== undefined && this.board.state !== 'off'
  }

  async load() {
    try {
      const { boards: all, offers } = await ok(boards.GET('/boards'))
      this.board = all.find((b) => b.device === this.#device)
      this.offers = offers
      this.fault = ''
    } catch (error) {
      if (!isAbsent(error)) this.fault = sentence(error)
      else if (!this.board) this.offers = [] // one that is known may come back
    }
  }

  /** Reads the board and keeps it current until the returned function is called. */
  follow(): () => void {
    void this.load()
    const stops = [on('board', (event) => this.#changed(event)), on('open', () => void this.load()), on('reset', () => void this.load())]
    return () => stops.forEach((stop) => stop())
  }

  async power(action: 'on' | 'off' | 'reset' | 'cut') {
    this.board = await ok(boards.POST('/boards/{board}/power', { params: this.#params, body: { action } }))
  }

  /** Presses the trigger button, and lets it go. */
  async trigger() {
    await this.#setPin(triggerPin, { value: 0, release_ms: press })
  }

  /** Wires an input to a level, 0 or 1, or to a voltage, 0 to 4095. */
  async wire(pin: number, value: number) {
    await this.#setPin(pin, { value })
  }

  /** Writes a build to the flash, or what new boards have where none is given, and starts it. */
  async flash(build: string | undefined, erase: boolean) {
    this.board = await ok(boards.POST('/boards/{board}/flash', { params: this.#params, body: { build, erase } }))
  }

  async remove() {
    await ok(boards.DELETE('/boards/{board}', { params: this.#params }))
    this.board = undefined
    this.removed = true
  }

  get #params() {
    return { path: { board: this.board?.id ?? '' } }
  }

  async #setPin(pin: number, body: { value: number; release_ms?: number }) {
    const params = { path: { ...this.#params.path, pin } }
    await ok(boards.PUT('/boards/{board}/pins/{pin}', { params, body }))
  }

  #changed({ board, exists, ...changed }: BoardEvent) {
    if (board !== this.board?.id) return
    this.board = exists ? { ...this.board, ...(changed as Partial<VirtualBoard>) } : undefined
  }
}

/** What of an EventSource is used here; a test brings its own. */
export interface Source {
  addEventListener(type: string, listener: (event: MessageEvent) => void): void
  close(): void
}

export type Status = 'connecting' | 'open' | 'lost'

export interface Options {
  /** Opens a connection to a URL, as `new EventSource(url)` does. */
  open(url: string): Source
  /** Tries to refresh the access token. Never throws. */
  refresh(): Promise<unknown>
  /** Where the stream is, such as `/api/editor/v1/events`. */
  url: string
  /** The names of the events to listen to. */
  events: readonly string[]
  onEvent(name: string, data: unknown): void
  /** Events were missed: what is shown has to be read anew. */
  onReset(): void
  onStatus(status: Status): void
}

const firstPause = 500
const longestPause = 15_000

/**
 * The one stream of events that the page has. After every cut it refreshes the
 * access token and opens a connection that goes on behind the last event. A
 * browser would come back by itself, but only after some seconds, not on an
 * answer other than 200, and without a new token: the server ends a stream
 * shortly before the token expires that it was opened with.
 */
export class EventStream {
  #options: Options
  #source: Source | undefined
  #watched: Record<string, string> = {}
  #lastId = ''
  #pause = firstPause
  #timer: ReturnType<typeof setTimeout> | undefined
  #running = false
  #paused = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Opens the stream, where it was paused behind the last event. */
  start() {
    if (this.#running) return
    this.#running = true
    this.#open()
    if (this.#paused && !this.#lastId) this.#options.onReset()
    this.#paused = false
  }

  /** Gives the connection back for a while: a browser has six for all its tabs. */
  pause() {
    if (!this.#running) return
    this.#running = false
    this.#paused = true
    this.#close()
  }

  /** Ends the stream for good; a later start knows nothing of it. */
  stop() {
    this.#running = false
    this.#paused = false
    this.#close()
    this.#lastId = ''
    this.#watched = {}
  }

  /**
   * Wants what is only sent to those who ask: with `build` that build's log from
   * its first line on, with `board` what that board writes from now on. An empty
   * ID wants it no more.
   */
  watch(what: 'build' | 'board', id: string) {
    if (id === (this.#watched[what] ?? '')) return
    this.#watched[what] = id
    if (this.#running) this.#open()
  }

  /** Tries at once, for instance when the network is back. */
  retry() {
    if (this.#running && this.#timer) this.#open()
  }

  /** The URL that goes on where this page is. */
  get url(): string {
    const query = new URLSearchParams()
    for (const [what, id] of Object.entries(this.#watched)) if (id) query.set(what, id)
    if (this.#lastId) query.set('after', this.#lastId)
    return query.size ? `${this.#options.url}?${query}` : this.#options.url
  }

  #close() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#source?.close()
    this.#source = undefined
  }

  #open() {
    this.#close()
    const source = this.#options.open(this.url)
    this.#source = source
    const current = (listener: (event: MessageEvent) => void) => (event: MessageEvent) => {
      if (source === this.#source) listener(event)
    }
    source.addEventListener(
      'open',
      current(() => {
        this.#pause = firstPause
        this.#options.onStatus('open')
      }),
    )
    source.addEventListener('error', current(() => this.#lost()))
    source.addEventListener(
      'reset',
      current((event) => {
        this.#lastId = event.lastEventId
        this.#options.onReset()
      }),
    )
    for (const name of this.#options.events) {
      source.addEventListener(
        name,
        current((event) => {
          if (event.lastEventId) this.#lastId = event.lastEventId
          const data = parse(event.data)
          if (data !== undefined) this.#options.onEvent(name, data)
        }),
      )
    }
  }

  #lost() {
    this.#close()
    this.#options.onStatus('lost')
    this.#timer = setTimeout(() => void this.#reopen(), this.#pause)
    this.#pause = Math.min(this.#pause * 2, longestPause)
  }

  async #reopen() {
    const timer = this.#timer
    await this.#options.refresh()
    if (!this.#running || timer !== this.#timer) return // stopped, or opened otherwise meanwhile
    const missed = this.#lastId === '' // with no position there is nothing to go on behind
    this.#open()
    if (missed) this.#options.onReset()
  }
}

/** An event's JSON; undefined where it is none, which is then passed over. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

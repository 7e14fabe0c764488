/**
 * How one file stands: `saved`; `dirty`, a save is due; `saving`; `conflict`,
 * somebody else saved it meanwhile and a person has to decide; `failed`, the
 * save did not work and is tried again.
 */
export type SaveState = 'saved' | 'dirty' | 'saving' | 'conflict' | 'failed'

export interface Options {
  /**
   * Stores content where the file still has the digest `base`, and gives the
   * new digest. Throws on any failure.
   */
  save(content: string, base: string): Promise<string>
  /** Whether this failure means that the file had another digest. */
  isConflict(error: unknown): boolean
  onState(state: SaveState, error?: unknown): void
  /** How long typing must rest before a save, in milliseconds. */
  rest?: number
}

const firstRetry = 2_000
const longestRetry = 30_000

/**
 * Saves one file while it is edited: one save at a time, the newest content
 * last, again with growing pauses when the server is away.
 */
export class Autosave {
  #options: Options
  #base: string
  #saved: string
  #content: string
  #state: SaveState = 'saved'
  #timer: ReturnType<typeof setTimeout> | undefined
  #running: Promise<void> | undefined
  #retry = firstRetry

  constructor(content: string, base: string, options: Options) {
    this.#saved = this.#content = content
    this.#base = base
    this.#options = options
  }

  get state(): SaveState {
    return this.#state
  }

  get content(): string {
    return this.#content
  }

  /** The digest of what was last saved. */
  get base(): string {
    return this.#base
  }

  /** Takes what the person has just typed. */
  edit(content: string) {
    this.#content = content
    if (this.#state === 'conflict') return // nothing is sent until it is decided
    if (this.#state !== 'saving') {
      if (content === this.#saved) return this.#become('saved')
      this.#become('dirty')
    }
    this.#schedule(this.#options.rest ?? 800)
  }

  /** Saves what is not saved; true when nothing is left. */
  async flush(): Promise<boolean> {
    this.#cancel()
    while (this.#state !== 'conflict') {
      if (this.#running) await this.#running
      else if (this.#content !== this.#saved) await this.#save()
      else break
      if (this.#state === 'failed') break
    }
    this.#cancel()
    if (this.#state === 'failed') this.#schedule(this.#retry)
    return this.#state === 'saved'
  }

  /** Ends a conflict with one's own content, over what has the digest `theirs`. */
  async keepMine(theirs: string): Promise<boolean> {
    this.#base = theirs
    this.#become('dirty')
    return this.flush()
  }

  /** Goes on from this content and digest, and forgets one's own. */
  reset(content: string, base: string) {
    this.#cancel()
    this.#saved = this.#content = content
    this.#base = base
    this.#become('saved')
  }

  /** Ends the timers; what is not saved stays unsaved. */
  stop() {
    this.#cancel()
  }

  #become(state: SaveState, error?: unknown) {
    if (state === this.#state && !error) return
    this.#state = state
    this.#options.onState(state, error)
  }

  #cancel() {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #schedule(after: number) {
    this.#cancel()
    this.#timer = setTimeout(() => void this.#save(), after)
  }

  #save(): Promise<void> {
    this.#running ??= this.#saveNow().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #saveNow() {
    const content = this.#content
    this.#become('saving')
    try {
      this.#base = await this.#options.save(content, this.#base)
      this.#saved = content
      this.#retry = firstRetry
      if (this.#content === content) return this.#become('saved')
      this.#become('dirty') // typed on meanwhile
      this.#schedule(this.#options.rest ?? 800)
    } catch (error) {
      if (this.#options.isConflict(error)) {
        this.#cancel()
        return this.#become('conflict', error)
      }
      this.#become('failed', error)
      this.#schedule(this.#retry)
      this.#retry = Math.min(this.#retry * 2, longestRetry)
    }
  }
}

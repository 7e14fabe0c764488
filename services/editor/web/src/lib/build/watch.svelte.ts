import { editor, ok } from '$lib/api/client'
import type { Build, BuildEvent, LogEvent, LogLine } from '$lib/api/types'
import { events, on } from '$lib/events/events.svelte'
import { Log } from './log'
import { isOver } from './states'

const pause = 50 // between two drawings of the log, in milliseconds

/** One build with its log, live while it runs. */
export class BuildWatch {
  build = $state.raw<Build>()
  lines = $state.raw<readonly LogLine[]>([])
  dropped = $state(0)
  #log = new Log()
  #complete = false
  #timer: ReturnType<typeof setTimeout> | undefined

  get running(): boolean {
    return this.build !== undefined && !isOver(this.build.state)
  }

  /** Shows this build from now on. */
  show(build: Build) {
    this.build = build
    this.#log.clear()
    this.#complete = false
    this.#draw()
    if (isOver(build.state)) void this.#readLog()
    else events.watch('build', build.id)
  }

  /** Follows what happens to the build until the returned function is called. */
  follow(): () => void {
    const stops = [
      on('build', (event) => this.#changed(event)),
      on('log', (event) => this.#logged(event)),
      on('open', () => void this.#readAnew()), // it may have ended while the stream was away
      on('reset', () => void this.#readAnew()),
    ]
    return () => stops.forEach((stop) => stop())
  }

  async cancel() {
    if (!this.build) return
    const params = { path: { build: this.build.id } }
    this.#take(await ok(editor.POST('/builds/{build}/cancel', { params })))
  }

  #changed(event: BuildEvent) {
    const { build } = this
    if (event.build !== build?.id || event.attempt < build.attempt || isOver(build.state)) return
    const state = event.state as Build['state']
    if (isOver(state)) void this.#readAnew()
    else this.build = { ...build, state, phase: event.phase as Build['phase'], attempt: event.attempt }
  }

  #logged(event: LogEvent) {
    if (event.build !== this.build?.id || this.#complete) return
    this.#log.add(event)
    this.#timer ??= setTimeout(() => this.#draw(), pause)
  }

  #draw() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.lines = this.#log.lines.slice()
    this.dropped = this.#log.dropped
  }

  /** Takes a build as the server has it; a finished one's log is then complete. */
  #take(build: Build) {
    if (build.id !== this.build?.id || isOver(this.build.state)) return
    this.build = build
    if (isOver(build.state)) void this.#readLog()
  }

  async #readAnew() {
    if (!this.running) return
    const build = await read(this.build!.id)
    if (build) this.#take(build)
  }

  async #readLog() {
    const id = this.build!.id
    const answer = await editor.GET('/builds/{build}/log', { params: { path: { build: id } } }).catch(() => undefined)
    const lines = answer?.data?.lines
    if (this.build?.id !== id || !lines || lines.length < this.#log.lines.length) return
    this.#complete = true
    this.#log.clear()
    this.#log.add({ attempt: this.build.attempt, lines })
    this.#draw()
  }
}

async function read(build: string): Promise<Build | undefined> {
  const answer = await editor.GET('/builds/{build}', { params: { path: { build } } }).catch(() => undefined)
  return answer?.data
}

import type { LogEvent, LogLine } from '$lib/api/types'

/** The most lines that a page keeps; the oldest go first. */
export const mostLines = 20_000

/** The log of one build, as it arrives: in chunks, now and then from a new attempt. */
export class Log {
  lines: LogLine[] = []
  /** How many lines were dropped at the front. */
  dropped = 0
  #attempt = 0

  /** Takes a chunk; one of an earlier attempt is passed over, a later attempt begins anew. */
  add({ attempt, lines }: Pick<LogEvent, 'attempt' | 'lines'>) {
    if (attempt < this.#attempt) return
    if (attempt > this.#attempt) this.clear(attempt)
    this.lines.push(...lines)
    const extra = this.lines.length - mostLines
    if (extra <= 0) return
    this.lines.splice(0, extra)
    this.dropped += extra
  }

  clear(attempt = 0) {
    this.#attempt = attempt
    this.lines = []
    this.dropped = 0
  }
}

/** The lines of a virtual list that are to be drawn: from … to, without `to`. */
export function visible(count: number, lineHeight: number, scrollTop: number, height: number, margin = 20): { from: number; to: number } {
  const first = Math.floor(scrollTop / lineHeight)
  const from = Math.max(0, Math.min(first - margin, count))
  const to = Math.min(count, first + Math.ceil(height / lineHeight) + margin)
  return { from, to: Math.max(from, to) }
}

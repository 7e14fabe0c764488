/** What a port wrote: text, and where in all that it ever wrote, in bytes. */
export interface Piece {
  offset: number
  /** The offset behind it. */
  end: number
  text: string
}

export interface SerialLine {
  text: string
  /** When its first character came, in unix milliseconds; missing for what was there before. */
  at?: number
}

/** The most lines that a page keeps; the oldest go first. */
export const mostLines = 5000

const longestLine = 2000 // characters; what never ends its lines is broken here
const mostWaiting = 500

/**
 * What a serial port wrote, as lines. It is stitched together from the port's
 * memory, read now and then, and the events in between, which may overlap it
 * and each other: nothing is shown twice, and what is missing is noticed.
 */
export class SerialLog {
  /** How many lines were dropped at the front. */
  dropped = 0
  #lines: SerialLine[] = []
  #open: SerialLine | undefined // the last line, whose end has not come
  #end: number | undefined // nothing was read yet
  #waiting: Piece[] = []

  get lines(): SerialLine[] {
    const open = this.#open && { ...this.#open, text: shown(this.#open.text) }
    return open ? [...this.#lines, open] : this.#lines.slice()
  }

  /** Where the cursor stands in the line that is written; undefined between two lines. */
  get cursor(): number | undefined {
    return this.#open && onScreen(this.#open.text).cursor
  }

  /**
   * Takes what has just come.
   *
   * @returns false where something before it is missing: the port's memory has to be read
   */
  add(piece: Piece, at: number): boolean {
    if (this.#end === undefined || piece.offset > this.#end) {
      if (this.#waiting.length === mostWaiting) this.#waiting.shift()
      this.#waiting.push(piece)
      return false
    }
    this.#append(piece, at)
    return true
  }

  /**
   * Takes the port's memory, and then what waited for it.
   *
   * @returns false where something is missing still
   */
  restore(memory: Piece, at: number): boolean {
    const lost = this.#end === undefined ? 0 : memory.offset - this.#end
    if (lost > 0) {
      this.#break()
      this.#push({ text: `… ${lost} bytes were missed …`, at })
      this.#end = memory.offset
    }
    this.#append(memory, this.#end === undefined ? undefined : at)
    const waiting = this.#waiting
    this.#waiting = []
    return waiting.map((piece) => this.add(piece, at)).every(Boolean)
  }

  /** Empties the page; what comes is added as before. */
  clear() {
    this.#lines = []
    this.#open = undefined
    this.dropped = 0
  }

  #append({ offset, end, text }: Piece, at: number | undefined) {
    const known = this.#end === undefined ? 0 : this.#end - offset
    if (known > 0 && end <= this.#end!) return
    this.#end = end
    this.#write(known > 0 ? withoutFirst(text, known) : text, at)
  }

  #write(text: string, at: number | undefined) {
    const parts = text.split('\n')
    parts.forEach((part, i) => {
      if (part) this.#open = { text: (this.#open?.text ?? '') + part, at: this.#open ? this.#open.at : at }
      while (this.#open && this.#open.text.length > longestLine) {
        const rest: string = this.#open.text.slice(longestLine)
        this.#push({ ...this.#open, text: this.#open.text.slice(0, longestLine) })
        this.#open = { text: rest, at }
      }
      if (i < parts.length - 1) this.#push(this.#open ?? { text: '', at })
    })
  }

  #break() {
    if (this.#open) this.#push(this.#open)
  }

  #push({ text, at }: SerialLine) {
    this.#open = undefined
    this.#lines.push({ text: shown(text), at })
    const extra = this.#lines.length - mostLines
    if (extra <= 0) return
    this.#lines.splice(0, extra)
    this.dropped += extra
  }
}

// eslint-disable-next-line no-control-regex
const sequence = /\x1b(?:\[([0-?]*)[ -/]*([@-~])?|[^[]?)/y
// eslint-disable-next-line no-control-regex
const control = /[\x00-\x08\x0b-\x1f\x7f]/

/**
 * A line as a terminal leaves it, and where its cursor stands. It knows what the line editor of a REPL writes: backspaces, the cursor's
 * moves, erasing to the end; colours are left out. After a return to its start only what is written then is shown.
 */
export function onScreen(raw: string): { text: string; cursor: number } {
  const line: string[] = []
  let cursor = 0
  let returned = false
  for (let i = 0; i < raw.length; ) {
    const c = raw[i]!
    if (c === '\x1b') {
      sequence.lastIndex = i
      const [all, parameters = '', final] = sequence.exec(raw)!
      const n = Number(parameters) || 1
      if (final === 'D') cursor = Math.max(0, cursor - n)
      else if (final === 'C') cursor = Math.min(line.length, cursor + n)
      else if (final === 'K' && !Number(parameters)) line.length = Math.min(line.length, cursor)
      i += all.length
      continue
    }
    i++
    if (c === '\r') returned = i < raw.length
    else if (c === '\b') cursor = Math.max(0, cursor - 1)
    else if (!control.test(c)) {
      if (returned) line.length = cursor = 0
      returned = false
      line[cursor++] = c
    }
  }
  return { text: line.join(''), cursor }
}

/** A line as a terminal leaves it. */
export function shown(raw: string): string {
  return onScreen(raw).text
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A text without so many bytes at its start; bytes that were no text, and are a sign of three now, make it a little too long. */
function withoutFirst(text: string, bytes: number): string {
  return decoder.decode(encoder.encode(text).subarray(bytes))
}

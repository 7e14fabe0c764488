/** What a key sends to a terminal; undefined where it is not the terminal's. */
export function keyCode({ key, ctrlKey, altKey, metaKey }: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey'>): string | undefined {
  if (altKey || metaKey) return undefined
  if (ctrlKey) return controls.includes(key.toLowerCase()) ? control(key) : undefined
  return keys[key]
}

/** What Ctrl and a letter send. */
export function control(letter: string): string {
  return String.fromCharCode(letter.toUpperCase().charCodeAt(0) - 64)
}

/** Those of MicroPython's REPL; the browser keeps the others. */
const controls = 'abcdeku'

const keys: Record<string, string> = {
  Enter: '\r',
  Backspace: '\x7f',
  Tab: '\t',
  ArrowUp: '\x1b[A',
  ArrowDown: '\x1b[B',
  ArrowRight: '\x1b[C',
  ArrowLeft: '\x1b[D',
  Home: '\x1b[H',
  End: '\x1b[F',
  Delete: '\x1b[3~',
}

const pause = 60 // milliseconds between two requests
const most = 4000 // characters of one

/** Sends keys in the order in which they were typed, few requests for many keys. */
export class Keys {
  #send: (text: string) => Promise<void>
  #waiting = ''
  #sending = false

  /** @param send throws where the board did not get it: then what waits is dropped, too */
  constructor(send: (text: string) => Promise<void>) {
    this.#send = send
  }

  /** Sends a text, after what was typed before; throws what send throws to whoever began. */
  async type(text: string) {
    this.#waiting += text
    if (this.#sending) return
    this.#sending = true
    try {
      while (this.#waiting) {
        const now = this.#waiting.slice(0, most)
        this.#waiting = this.#waiting.slice(most)
        await this.#send(now)
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    } finally {
      this.#waiting = ''
      this.#sending = false
    }
  }
}

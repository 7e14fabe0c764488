import type { BoardKind, Pin, VirtualBoard } from '$lib/api/types'
import type { Tone } from '$lib/tone'

const words: Record<VirtualBoard['state'], { label: string; tone: Tone }> = {
  off: { label: 'Off', tone: 'quiet' },
  running: { label: 'Running', tone: 'good' },
  sleeping: { label: 'Asleep', tone: 'quiet' },
  waiting: { label: 'Waiting for an image', tone: 'warn' },
}

/** A virtual board's state for people. */
export function boardState(board: Pick<VirtualBoard, 'state'>): { label: string; tone: Tone } {
  return words[board.state] ?? { label: board.state, tone: 'quiet' }
}

// As in firmware/chip/README.md.
const resets: Record<string, string> = {
  power: 'it was switched on',
  software: 'its program restarted it',
  crash: 'its program crashed',
  watchdog: 'its program hung',
  brownout: 'its supply sagged',
  sleep: 'it woke up',
  external: 'it was reset',
}

/** Why a board started the last time, to follow “because”; '' where it is not known. */
export function resetReason(reset: string | undefined): string {
  return reset ? (resets[reset] ?? reset) : ''
}

/** The pin that the trigger button pulls to ground. */
export const triggerPin = 0

/** What a kind of board calls what it has. */
export interface BoardWords {
  /** The trigger button, and what else says of it what it does. */
  button: string
  reset: string
  /** The pin that the LED hangs on. */
  led: number
  /** The program of a board that was given nothing yet. */
  first: string
  /** The tool that writes to a real one. */
  tool: string
  /** The kind of projects whose builds it runs. */
  projects: 'arduino' | 'micropython'
}

/** What boards of this kind call what they have. */
export function boardWords(kind: BoardKind): BoardWords {
  if (kind === 'pico') return { button: 'BOOTSEL', reset: 'RUN', led: 25, first: 'base program', tool: 'mpremote', projects: 'micropython' }
  return { button: 'BOOT', reset: 'EN', led: 2, first: 'base sketch', tool: 'esptool', projects: 'arduino' }
}

const modes: Record<Pin['mode'], string> = {
  in: 'Input',
  pullup: 'Input, pulled up',
  pulldown: 'Input, pulled down',
  adc: 'Analog input',
  out: 'Output',
  pwm: 'PWM output',
}

export function pinMode({ mode }: Pick<Pin, 'mode'>): string {
  return modes[mode] ?? mode
}

/** What can be wired to a pin: a level, a voltage, or nothing since it is an output. */
export function pinInput({ mode }: Pick<Pin, 'mode'>): 'digital' | 'analog' | undefined {
  if (mode === 'adc') return 'analog'
  return mode === 'in' || mode === 'pullup' || mode === 'pulldown' ? 'digital' : undefined
}

/** How bright an LED on this pin shines, from 0 to 1; a PWM's value is taken as of 8 bits. */
export function brightness({ mode, value }: Pick<Pin, 'mode' | 'value'>): number {
  if (mode === 'pwm') return Math.min(1, value / 255)
  return mode === 'out' && value > 0 ? 1 : 0
}

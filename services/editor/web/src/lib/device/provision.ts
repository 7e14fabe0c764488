import type { Project } from '$lib/api/types'
import { parseFqbn } from '$lib/board/fqbn'

/** What a device is given once, in its own storage; see firmware/README.md. */
export interface Provisioning {
  server: string
  workspace: string
  device: string
  product_id: string
  key: string
  keys: string[]
  board: string
  /** The certificate to pin for TLS, PEM. */
  ca?: string
  wifi?: { ssid: string; password?: string }[]
}

/** The board that the simulator is. */
export const simulatedBoard = 'flota:virtual:esp32'

/** The file name under which a device's provisioning is saved. */
export function provisioningName(productId: string): string {
  return `${productId}.json`
}

/**
 * The command that starts a simulated device, which asks for updates every
 * second. No secret stands on the command line.
 */
export function simulatorCommand(productId: string): string {
  return `bin/flota-simulator run --provision ${provisioningName(productId)} --poll 1s`
}

/** Whether a board runs MicroPython, by what the farm calls it. */
export function runsMicroPython(board: string): boolean {
  return board.startsWith('micropython:')
}

/** Whether a board is a Pico that runs Arduino sketches, by what the farm calls it. */
export function isArduinoPico(board: string): boolean {
  return board.startsWith('rp2040:')
}

/**
 * The command that writes the file into a real board over its cable; into one
 * with MicroPython, whatever it takes to be updated besides.
 */
export function cableCommand(productId: string, board: string): string {
  const port = runsMicroPython(board) || isArduinoPico(board) ? '/dev/ttyACM0' : '/dev/ttyUSB0'
  const how = runsMicroPython(board) ? '--micropython ' : ''
  return `bin/flota-provision --port ${port} ${how}--file ${provisioningName(productId)}`
}

/**
 * The board that a device most likely is, without options: what it said of
 * itself, else what its own project, or the last one that was worked on, is
 * compiled for; '' where there is nothing to go by.
 */
export function likelyBoard(device: { device: string; board?: string }, projects: readonly Pick<Project, 'device' | 'fqbn' | 'changed_at'>[]): string {
  const named = projects.filter((p) => p.fqbn).sort((a, b) => Date.parse(b.changed_at) - Date.parse(a.changed_at))
  const project = named.find((p) => p.device === device.device) ?? named.find((p) => !p.device)
  return parseFqbn(device.board || project?.fqbn || '').board
}

/** Where devices reach the server: the operator's address for them, else this page's own. */
export function deviceOrigin(configured: string | undefined, page: string): string {
  const usable = configured && /^https?:\/\//.test(configured) // an unfilled placeholder is none
  return usable ? configured : page
}

/** The certificate authority that a device pins to trust this server: the installation's own, where it has one and speaks TLS. */
export function deviceCA(configured: string | undefined, server: string): string | undefined {
  return server.startsWith('https:') && configured?.startsWith('-----BEGIN') ? configured : undefined
}

/** What a device is given once, in its own storage; see firmware/README.md. */
export interface Provisioning {
  server: string
  workspace: string
  device: string
  product_id: string
  key: string
  keys: string[]
  board: string
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

/** Where devices reach the server: the operator's address for them, else this page's own. */
export function deviceOrigin(configured: string | undefined, page: string): string {
  const usable = configured && /^https?:\/\//.test(configured) // an unfilled placeholder is none
  return usable ? configured : page
}

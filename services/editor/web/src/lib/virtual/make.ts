import { boards, ok } from '$lib/api/client'
import type { VirtualBoard } from '$lib/api/types'
import { makeProvisioning } from '$lib/device/provisioning'

/** The network of a virtual board in a workspace that stored none. */
const ownNetwork = { ssid: 'flota-virtual' }

/** Makes a virtual board what this device is, over its serial port and with a new key. */
export async function provisionBoard(board: Pick<VirtualBoard, 'id' | 'fqbn'>, device: string): Promise<VirtualBoard> {
  const { wifi = [ownNetwork], ...given } = await makeProvisioning(device, board.fqbn)
  return ok(boards.POST('/boards/{board}/provision', { params: { path: { board: board.id } }, body: { ...given, wifi } }))
}

import { auth, fleet, ok } from '$lib/api/client'
import { deviceCA, deviceOrigin, type Provisioning } from './provision'

/**
 * Makes what a device is given, with a new key: the former one is void from now
 * on. It holds secrets, and is kept nowhere.
 */
export async function makeProvisioning(device: string, board: string): Promise<Provisioning> {
  const { keys } = await ok(fleet.GET('/keys')) // first: where this fails, no key is void
  const made = await ok(auth.POST('/products/{device}/provisioning', { params: { path: { device } } }))
  const said = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content
  const { workspace, product_id, key, wifi } = made
  const server = deviceOrigin(said('device-origin'), location.origin)
  return {
    server,
    workspace,
    device: made.device,
    product_id,
    key,
    keys: keys.map((k) => k.public_key),
    board,
    ca: deviceCA(said('device-ca'), server),
    wifi: wifi.length ? wifi : undefined,
  }
}

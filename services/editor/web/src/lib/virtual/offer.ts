import { boards } from '$lib/api/client'
import type { Offer } from '$lib/api/types'

/** The virtual boards that can be made in this installation, the usual one first; none where it runs none. */
export async function readOffers(): Promise<Offer[]> {
  const answer = await boards.GET('/boards').catch(() => undefined)
  return answer?.data?.offers ?? []
}

import { ApiError } from '$lib/api/error'

/** What a deployment may have to be consented to; named as the API names it. */
export type Consent = 'accept_agent_only' | 'accept_unmanaged'

/** What one consents to, as a sentence. */
export const consentText: Record<Consent, string> = {
  accept_agent_only: 'This device cannot go back by itself if the new firmware does not even start.',
  accept_unmanaged: 'This firmware cannot update itself: a device that runs it hears of no update any more, and needs the cable.',
}

/** The consent that the server asks for with this error. */
export function consentAsked(error: unknown): Consent | undefined {
  return error instanceof ApiError && Object.hasOwn(consentText, error.field) ? (error.field as Consent) : undefined
}

import createClient, { type ClientOptions } from 'openapi-fetch'
import type { paths as AuthPaths } from '$api/auth'
import type { paths as BoardsPaths } from '$api/boards'
import type { paths as EditorPaths } from '$api/editor'
import type { paths as FleetPaths } from '$api/fleet'
import { asApiError } from './error'
import { fetchWithRefresh, singleFlight } from './refresh'

const prefix = (service: string) => `/api/${service}/v1`

let expired = () => {}

/** Sets what happens when the session is over for good. */
export function onExpired(handler: () => void) {
  expired = handler
}

/** A fresh access token for the session cookie, shared by everybody who asks meanwhile. */
export const refresh = singleFlight(async () => {
  const response = await fetch(`${prefix('auth')}/refresh`, { method: 'POST' }).catch(() => undefined)
  if (response?.status === 401) expired() // no answer at all is an outage, and ends no session
  return response?.ok ?? false
})

const options = (service: string): ClientOptions => ({
  baseUrl: location.origin + prefix(service),
  fetch: fetchWithRefresh((request) => fetch(request), refresh),
})

export const auth = createClient<AuthPaths>(options('auth'))
export const boards = createClient<BoardsPaths>(options('boards'))
export const editor = createClient<EditorPaths>(options('editor'))
export const fleet = createClient<FleetPaths>(options('fleet'))

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** Gives an answer's body, or throws its problem as an ApiError. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer
  if (!response.ok) throw asApiError(response.status, error)
  return data as T
}

/** Reads a paged list to its end, or until `most` items are there. */
export async function everything<T>(page: (after?: string) => Promise<{ items: T[]; next?: string }>, most = 5000): Promise<T[]> {
  const all: T[] = []
  let after: string | undefined
  do {
    const { items, next } = await page(after)
    all.push(...items)
    after = next
  } while (after && all.length < most)
  return all
}

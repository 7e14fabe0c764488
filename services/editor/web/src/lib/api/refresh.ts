/** Asks for a fresh access token; says whether there is one. */
export type Refresh = () => Promise<boolean>

/**
 * Lets many callers share one refresh: whoever calls while one is under way
 * gets that one's answer.
 */
export function singleFlight(refresh: Refresh): Refresh {
  let running: Promise<boolean> | undefined
  return () => (running ??= refresh().finally(() => (running = undefined)))
}

/**
 * A fetch that on 401 refreshes the access token and repeats the request once.
 *
 * @param send the real fetch
 * @param refresh shared by all requests; never throws
 */
export function fetchWithRefresh(
  send: (request: Request) => Promise<Response>,
  refresh: Refresh,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const again = request.clone() // a body can be read only once
    const response = await send(request)
    if (response.status !== 401 || isLogin(request.url)) return response
    return (await refresh()) ? send(again) : response
  }
}

/** Requests whose 401 speaks of the password or the session itself. */
function isLogin(url: string): boolean {
  return /\/api\/auth\/v1\/(login|product-login|setup|refresh)$/.test(new URL(url).pathname)
}

import { expect, test, vi } from 'vitest'
import { fetchWithRefresh, singleFlight } from './refresh'

const origin = 'http://flota.test'
const answer = (status: number) => new Response(null, { status })

test('a 401 refreshes once for all requests under way, and each is repeated once', async () => {
  let fresh = false
  const refresh = vi.fn(async () => {
    await Promise.resolve()
    return (fresh = true)
  })
  const bodies: string[] = []
  const send = async (request: Request) => {
    if (!fresh) return answer(401)
    bodies.push(await request.text())
    return answer(200)
  }
  const fetch = fetchWithRefresh(send, singleFlight(refresh))

  const responses = await Promise.all(
    ['a', 'b', 'c'].map((body) => fetch(new Request(`${origin}/api/editor/v1/projects`, { method: 'POST', body }))),
  )

  expect(responses.map((r) => r.status)).toEqual([200, 200, 200])
  expect(refresh).toHaveBeenCalledTimes(1)
  expect(bodies.sort()).toEqual(['a', 'b', 'c'])
})

test('when the session is over, the 401 comes through', async () => {
  const send = vi.fn(async () => answer(401))
  const fetch = fetchWithRefresh(send, async () => false)

  expect((await fetch(new Request(`${origin}/api/fleet/v1/devices`))).status).toBe(401)
  expect(send).toHaveBeenCalledTimes(1)
})

test('a wrong password is no reason to refresh', async () => {
  const refresh = vi.fn(async () => true)
  const fetch = fetchWithRefresh(async () => answer(401), refresh)
  for (const path of ['login', 'product-login', 'setup', 'refresh'])
    expect((await fetch(new Request(`${origin}/api/auth/v1/${path}`, { method: 'POST' }))).status).toBe(401)
  expect(refresh).not.toHaveBeenCalled()
})

test('a later 401 refreshes again', async () => {
  const refresh = vi.fn(async () => true)
  const shared = singleFlight(refresh)
  await shared()
  await shared()
  expect(refresh).toHaveBeenCalledTimes(2)
})

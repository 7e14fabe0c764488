import { boards } from '$lib/api/client'

/** Whether this installation runs virtual boards. */
export async function offersBoards(): Promise<boolean> {
  const answer = await boards.GET('/boards').catch(() => undefined)
  return answer?.response.ok ?? false
}

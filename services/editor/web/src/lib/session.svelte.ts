import { ApiError, sentence } from '$lib/api/error'
import { auth, ok, onExpired } from '$lib/api/client'
import type { Me } from '$lib/api/types'
import { events } from '$lib/events/events.svelte'

/**
 * `starting`: not known yet; `away`: the server does not answer; `setup`: a
 * fresh installation; `out` and `in`: nobody, or somebody, is logged in.
 */
type Phase = 'starting' | 'away' | 'setup' | 'out' | 'in'

let phase = $state<Phase>('starting')
let me = $state<Me>()
let fault = $state('')

/** Who uses this page. */
export const session = {
  get phase() {
    return phase
  },
  get fault() {
    return fault
  },
  /** Only while the phase is `in`. */
  get me(): Me {
    if (!me) throw new Error('nobody is logged in')
    return me
  },
  /** Whether this person may change things in the workspace. */
  get maintains(): boolean {
    return me?.role === 'owner' || me?.role === 'maintainer'
  },
  /** Whether this person decides who belongs to the workspace. */
  get owns(): boolean {
    return me?.role === 'owner'
  },
  /** Whether they may write, compile and deploy in what they see: all but viewers. */
  get writes(): boolean {
    return session.maintains || session.isProduct
  },
  get isProduct(): boolean {
    return me?.kind === 'product'
  },
}

onExpired(leave)

function leave() {
  if (phase === 'setup') return
  events.stop()
  me = undefined
  phase = 'out'
}

/** Goes on as this person or product. */
export function enter(next: Me) {
  events.stop() // the stream belongs to the workspace
  me = next
  phase = 'in'
  events.start()
}

/** Finds out whether the installation is fresh and who is logged in. */
export async function begin() {
  phase = 'starting'
  try {
    const { needed } = await ok(auth.GET('/setup'))
    if (needed) {
      phase = 'setup'
      return
    }
    enter(await ok(auth.GET('/me')))
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return leave()
    fault = sentence(error)
    phase = 'away'
  }
}

export async function logOut() {
  await ok(auth.POST('/logout'))
  leave()
}

export async function switchWorkspace(workspace: string) {
  enter((await ok(auth.PUT('/me/workspace', { body: { workspace } }))).me)
}

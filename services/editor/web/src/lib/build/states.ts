import type { Build } from '$lib/api/types'
import type { Tone } from '$lib/tone'

type State = Build['state']

const words: Record<State, { label: string; tone: Tone }> = {
  queued: { label: 'Waiting', tone: 'quiet' },
  running: { label: 'Compiling', tone: 'busy' },
  succeeded: { label: 'Succeeded', tone: 'good' },
  failed: { label: 'Failed', tone: 'bad' },
  cancelled: { label: 'Cancelled', tone: 'quiet' },
  error: { label: 'Farm problem', tone: 'warn' },
}

const phases: Record<NonNullable<Build['phase']>, string> = {
  fetch: 'Fetching files',
  compile: 'Compiling',
  upload: 'Storing the result',
}

/** A build's state for people; a running one's is its phase. */
export function buildState(build: Pick<Build, 'state' | 'phase'>): { label: string; tone: Tone } {
  const { label, tone } = words[build.state]
  return { label: build.state === 'running' && build.phase ? phases[build.phase] : label, tone }
}

/** Whether nothing more happens to a build in this state. */
export function isOver(state: State): boolean {
  return state !== 'queued' && state !== 'running'
}

import { editor, ok } from '$lib/api/client'
import { ApiError, asApiError } from '$lib/api/error'
import { jsonLines } from '$lib/api/lines'
import type { Dependency, FetchProgress, Project, ResolveEvent } from '$lib/api/types'

/** What to fetch. */
export interface Resolution {
  /** What the project wants from now on; left out, what its package.json says. */
  deps?: Dependency[]
  /** Replaces files that somebody changed by hand. */
  overwrite?: boolean
}

/**
 * Fetches a MicroPython project's packages into its folder lib.
 *
 * @param tell is told how far it is
 * @param signal cancels it; then nothing changes
 * @returns the project with its new files
 */
export async function resolvePackages(project: string, wish: Resolution, tell: (progress: FetchProgress) => void, signal: AbortSignal): Promise<Project> {
  const params = { path: { project } }
  const body = { overwrite: false, ...wish }
  const stream = await ok(editor.POST('/projects/{project}/dependencies', { params, body, parseAs: 'stream', signal }))
  for await (const line of jsonLines(stream as ReadableStream<Uint8Array>)) {
    const { progress, problem, project: changed } = line as ResolveEvent
    if (progress) tell(progress)
    if (problem) throw asApiError(problem.status, problem)
    if (changed) return changed
  }
  throw new ApiError(0, 'unavailable', 'The connection was lost before all packages were there. Nothing was changed.')
}

/** Whether this caught error says that files would be lost that somebody changed by hand. */
export function wouldOverwrite(error: unknown): error is ApiError {
  return error instanceof ApiError && error.field === 'overwrite'
}

/** An error answer of a service: RFC 9457 problem JSON, made an exception. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** The stable code that programs compare, such as `conflict`. */
    readonly code: string,
    message: string,
    /** The name of the input at fault, or ''. */
    readonly field = '',
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

interface Problem {
  title?: string
  code?: string
  detail?: string
  field?: string
}

const offline = 'The server does not answer. Check the connection and try again.'

/** Makes an ApiError of an answer's status and body, whatever they are. */
export function asApiError(status: number, body: unknown): ApiError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Problem
  const fallback = status >= 500 ? 'The server has a problem. Try again in a moment.' : `The server refused this (${status}).`
  return new ApiError(status, problem.code ?? 'unknown', asSentence(problem.detail || problem.title || fallback), problem.field ?? '')
}

/** Services write their sentences as Go does: without a capital and a full stop. */
function asSentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`
}

/** The sentence to show for any caught error. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError) return error.message
  if (error instanceof TypeError) return offline // fetch's own error when there is no connection
  return error instanceof Error ? error.message : String(error)
}

/** Whether this caught error carries the code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof ApiError && error.code === code
}

/** Whether this caught error says that a service that an installation may do without is not there. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 503)
}

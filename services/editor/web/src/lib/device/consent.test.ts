import { expect, test } from 'vitest'
import { ApiError } from '$lib/api/error'
import { consentAsked } from './consent'

test.each([
  [new ApiError(412, 'precondition', 'It has no agent.', 'accept_unmanaged'), 'accept_unmanaged'],
  [new ApiError(412, 'precondition', 'No roll-back.', 'accept_agent_only'), 'accept_agent_only'],
  [new ApiError(412, 'precondition', 'Another board.', 'build'), undefined],
  [new ApiError(412, 'precondition', 'Nothing.', 'toString'), undefined],
  [new Error('accept_unmanaged'), undefined],
])('%s asks for %s', (error, consent) => expect(consentAsked(error)).toBe(consent))

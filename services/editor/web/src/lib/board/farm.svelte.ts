import { sentence } from '$lib/api/error'
import { editor, ok } from '$lib/api/client'
import type { Farm } from '$lib/api/types'

let current = $state.raw<Farm>()
let fault = $state('')

/** What the compile farm offers, shared by all screens. */
export const farm = {
  get current() {
    return current
  },
  get fault() {
    return fault
  },
  /** Asks again; boards come and go with the workers. */
  async load() {
    try {
      current = await ok(editor.GET('/boards'))
      fault = ''
    } catch (error) {
      fault = sentence(error)
    }
  },
}

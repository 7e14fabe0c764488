import { ApiError, sentence } from '$lib/api/error'

/** Sends a form once at a time and puts the server's complaint where it belongs. */
export class Form {
  busy = $state(false)
  /** What is wrong with the whole. */
  fault = $state('')
  #field = $state('')
  #fieldFault = $state('')
  #fields: readonly string[]

  /** @param fields the names of the inputs, as the API has them */
  constructor(...fields: string[]) {
    this.#fields = fields
  }

  /** What is wrong with this input, or ''. */
  of(field: string): string {
    return this.#field === field ? this.#fieldFault : ''
  }

  clear() {
    this.fault = this.#field = this.#fieldFault = ''
  }

  /** Runs the submission of a form; an error is shown in the form. */
  submit = (action: () => Promise<void>) => async (event?: Event) => {
    event?.preventDefault()
    if (this.busy) return
    this.busy = true
    this.clear()
    try {
      await action()
    } catch (error) {
      // A list's field comes as `products[0].product_id`.
      const field = error instanceof ApiError ? (error.field.split('.').at(-1) ?? '') : ''
      if (field && this.#fields.includes(field)) {
        this.#field = field
        this.#fieldFault = sentence(error)
      } else this.fault = sentence(error)
    } finally {
      this.busy = false
    }
  }
}

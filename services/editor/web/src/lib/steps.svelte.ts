import { sentence } from '$lib/api/error'

type StepState = 'waiting' | 'running' | 'done' | 'failed'

export interface Step {
  label: string
  state: StepState
  /** What went wrong, as a sentence. */
  fault: string
}

/** Several things that are done one after the other, shown as they happen; after a failure it goes on where it stopped. */
export class Steps {
  list = $state<Step[]>([])
  #actions: (() => Promise<void>)[]

  constructor(steps: { label: string; run: () => Promise<void> }[]) {
    this.list = steps.map(({ label }) => ({ label, state: 'waiting', fault: '' }))
    this.#actions = steps.map(({ run }) => run)
  }

  get running(): boolean {
    return this.list.some((s) => s.state === 'running')
  }

  /** The index of the step that failed, or -1. */
  get failed(): number {
    return this.list.findIndex((s) => s.state === 'failed')
  }

  /** Does what is not done yet. @returns whether all of it is done */
  async run(): Promise<boolean> {
    if (this.running) return false
    for (const [i, step] of this.list.entries()) {
      if (step.state === 'done') continue
      step.state = 'running'
      step.fault = ''
      try {
        await this.#actions[i]!()
      } catch (error) {
        step.state = 'failed'
        step.fault = sentence(error)
        return false
      }
      step.state = 'done'
    }
    return true
  }
}

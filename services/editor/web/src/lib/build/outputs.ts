import type { Build, Output } from '$lib/api/types'

/** Whether a device can be updated with a build over the air: it has an image for it, or the index of a MicroPython release with an agent. */
export function deployable({ state, outputs, agent }: Pick<Build, 'state' | 'outputs' | 'agent'>): boolean {
  return state === 'succeeded' && outputs.some((o) => o.role === 'app' || (o.role === 'index' && agent))
}

/** What people download: the files on the board come in the bundle. */
export function downloads({ outputs }: Pick<Build, 'outputs'>): Output[] {
  return outputs.filter((o) => o.role !== 'file')
}

/** The files that a MicroPython build puts on the board, by their paths. */
export function boardFiles({ outputs }: Pick<Build, 'outputs'>): Output[] {
  return outputs.filter((o) => o.role === 'file').sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Whether a file came from the farm, not from the project. */
export function isAgents({ name }: Pick<Output, 'name'>): boolean {
  return /^flota_[^/]*$/.test(name)
}

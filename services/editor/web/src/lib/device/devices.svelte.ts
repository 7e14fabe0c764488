import { sentence } from '$lib/api/error'
import { everything, fleet, ok } from '$lib/api/client'
import type { Device } from '$lib/api/types'
import { on } from '$lib/events/events.svelte'
import { session } from '$lib/session.svelte'
import { afterEvent } from './states'

const stale = 30_000 // nothing tells when a device goes away, so the list is read again

/** The workspace's devices, live while a component follows them; a product's own one alone. */
export class Devices {
  list = $state.raw<Device[]>()
  fault = $state('')

  get(id: string): Device | undefined {
    return this.list?.find((d) => d.device === id)
  }

  async load() {
    try {
      this.list = await readDevices()
      this.fault = ''
    } catch (error) {
      this.fault = sentence(error)
    }
  }

  /** Reads the list and keeps it current until the returned function is called. */
  follow(): () => void {
    void this.load()
    const timer = setInterval(() => document.hidden || void this.load(), stale)
    const stops = [
      on('device', (event) => {
        if (!this.list) return
        if (event.state === 'deleted') return void (this.list = this.list.filter((d) => d.device !== event.device))
        if (!this.get(event.device)) return void this.load()
        this.list = this.list.map((d) => (d.device === event.device ? afterEvent(d, event) : d))
      }),
      on('reset', () => void this.load()),
    ]
    return () => {
      clearInterval(timer)
      stops.forEach((stop) => stop())
    }
  }
}

async function readDevices(): Promise<Device[]> {
  const own = session.isProduct ? session.me.device : undefined
  if (own) return [(await ok(fleet.GET('/devices/{device}', { params: { path: { device: own } } }))).device]
  return everything(async (after) => {
    const { devices: items, next } = await ok(fleet.GET('/devices', { params: { query: { after, limit: 500 } } }))
    return { items, next }
  })
}

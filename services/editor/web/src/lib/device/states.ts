import type { Device, DeviceEvent, HistoryEntry } from '$lib/api/types'
import type { Tone } from '$lib/tone'

type State = Device['state']

const words: Record<State, { label: string; tone: Tone }> = {
  new: { label: 'Never seen', tone: 'quiet' },
  idle: { label: 'Nothing deployed', tone: 'quiet' },
  wanted: { label: 'Update waiting', tone: 'busy' },
  downloading: { label: 'Downloading', tone: 'busy' },
  verified: { label: 'Download verified', tone: 'busy' },
  applied: { label: 'Restarting', tone: 'busy' },
  confirmed: { label: 'Update confirmed', tone: 'good' },
  failed: { label: 'Update failed', tone: 'bad' },
  rolled_back: { label: 'Rolled back', tone: 'warn' },
}

/** A device's state for people. */
export function deviceState(device: Pick<Device, 'state' | 'percent' | 'revoked'>): { label: string; tone: Tone } {
  if (device.revoked) return { label: 'Key revoked', tone: 'bad' }
  const { label, tone } = stateWords(device.state)
  if (device.state === 'downloading' && device.percent !== undefined) return { label: `${label} ${device.percent} %`, tone }
  return { label, tone }
}

/** The words for any state, also one that a newer server has. */
export function stateWords(state: string): { label: string; tone: Tone } {
  return words[state as State] ?? { label: state, tone: 'quiet' }
}

const reasons: Record<string, string> = {
  format: 'The update has a format that this device does not know.',
  target: 'The update was meant for another device.',
  board: 'The update was compiled for another board.',
  replay: 'The update is older than one that was already accepted.',
  downgrade: 'The update has a lower security version.',
  too_large: 'The update does not fit on the device.',
  signature: 'The update’s signature is not by a key that this device trusts.',
  digest: 'The download did not match its checksum.',
  storage: 'The device could not write the update.',
  network: 'The device lost its network.',
  vetoed: 'The program on the device did not want the update.',
  crash: 'The new program crashed.',
  watchdog: 'The new program hung.',
  selftest: 'The new program failed its self-test.',
  no_checkin: 'The new program did not reach the server.',
}

/** A reason of the device protocol as a sentence; a firmware's own word stays as it is. */
export function reasonSentence(reason: string | undefined): string {
  return reason ? (reasons[reason] ?? reason) : ''
}

const justNow = 60_000 // milliseconds

/** A device after an event about it. */
export function afterEvent(device: Device, event: DeviceEvent, now = new Date()): Device {
  const seen = event.seen_at ?? device.seen_at
  return {
    ...device,
    state: event.state as State,
    percent: event.percent,
    running_version: event.running_version ?? device.running_version,
    wanted_version: event.wanted_version ?? device.wanted_version,
    seen_at: seen,
    online: device.online || (event.seen_at !== undefined && now.getTime() - Date.parse(event.seen_at) < justNow),
  }
}

/** A device as it was read, which may be older than what events told of when it was seen. */
export function afterRead(read: Device, before: Device | undefined, now = new Date()): Device {
  const seen = Date.parse(before?.seen_at ?? '')
  if (!(seen > Date.parse(read.seen_at ?? '1970-01-01'))) return read
  return { ...read, seen_at: before!.seen_at, online: read.online || now.getTime() - seen < justNow }
}

/** Whether a device ran what it shall run and runs something else now, which came by cable: it does not fetch the same again. */
export function wasReplaced(device: Device, history: HistoryEntry[]): boolean {
  const last = history[0]
  return device.state === 'wanted' && last?.state === 'confirmed' && last.version === device.wanted_version
}

/** Whether a device is meant by all words of a search. */
export function matches(device: Device, search: string): boolean {
  const text = [device.product_id, device.name, device.running_version, device.board, deviceState(device).label, ...device.tags]
    .join(' ')
    .toLowerCase()
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word))
}

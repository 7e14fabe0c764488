/** The most networks that a device is given. */
export const mostNetworks = 4

/** A network in a form. */
export interface Entry {
  /** Its own, as long as the form is open. */
  key: number
  ssid: string
  /** As typed; '' for an open network, or for a stored password that stays. */
  password: string
  /** The SSID with which a password is stored, that stays while none is typed; '' for a new entry. */
  stored: string
}

/** Whether the password stays that is stored. */
export function keepsPassword({ ssid, password, stored }: Entry): boolean {
  return password === '' && stored !== '' && ssid === stored
}

/** What the server is asked to store; a password that stays is left out. */
export function asNetworks(entries: readonly Entry[]): { ssid: string; password?: string }[] {
  return entries.map((e) => (keepsPassword(e) ? { ssid: e.ssid } : { ssid: e.ssid, password: e.password }))
}

/** The entry at `from` goes to `to`; a place that is not there changes nothing. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const copy = [...list]
  if (from in copy && to in copy) copy.splice(to, 0, ...copy.splice(from, 1))
  return copy
}

const bytes = (text: string) => new TextEncoder().encode(text).length

/** Why an SSID will not do, as a sentence, or ''. The server has the last word. */
export function ssidFault({ ssid, key }: Entry, all: readonly Entry[]): string {
  if (ssid === '') return 'Type the name of the network.'
  if (bytes(ssid) > 32) return 'A network’s name has at most 32 bytes.'
  if (all.some((e) => e.key !== key && e.ssid === ssid)) return 'This network is there twice.'
  return ''
}

/** Why a password will not do, as a sentence, or ''. */
export function passwordFault({ password }: Entry): string {
  if (password === '' || /^[0-9a-f]{64}$/i.test(password)) return ''
  const length = bytes(password)
  return length < 8 || length > 63 ? 'A Wi-Fi password has 8 to 63 characters; leave it empty for an open network.' : ''
}

/** The entry and the input that a server's field is about, such as `networks.0.password`. */
export function fieldAt(field: string): { index: number; input: 'ssid' | 'password' } | undefined {
  const match = /^networks\W*(\d+)\W*(ssid|password)$/.exec(field)
  return match ? { index: Number(match[1]), input: match[2] as 'ssid' | 'password' } : undefined
}

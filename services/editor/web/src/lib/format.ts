const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const absolute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' })

const spans: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** How long ago a time is, such as `3 minutes ago`. */
export function ago(time: string, now: number): string {
  const seconds = Math.round((now - Date.parse(time)) / 1000)
  if (seconds < 10) return 'just now'
  for (const [unit, size] of spans) if (seconds >= size) return relative.format(-Math.floor(seconds / size), unit)
  return `${seconds} seconds ago`
}

/** A time in full, for tooltips. */
export function dateTime(time: string): string {
  return absolute.format(Date.parse(time))
}

/** The time of day to the millisecond, such as `09:05:01.250`. */
export function clockTime(at: number): string {
  const time = new Date(at)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

/** The time between two moments, such as `1.2 s` or `2 min 5 s`. */
export function duration(from: string, to: string): string {
  const seconds = Math.max(0, Date.parse(to) - Date.parse(from)) / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

/** A size, such as `1.4 kB`. */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  if (n < 1_000_000) return `${(n / 1000).toFixed(n < 10_000 ? 1 : 0)} kB`
  return `${(n / 1_000_000).toFixed(1)} MB`
}

/** `one device`, `2 devices`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

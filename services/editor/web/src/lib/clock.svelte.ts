import { createSubscriber } from 'svelte/reactivity'

const beat = 10_000

const subscribe = createSubscriber((update) => {
  const timer = setInterval(update, beat)
  return () => clearInterval(timer)
})

/** The time in milliseconds; whoever reads it in a component is drawn again as it goes on. */
export function now(): number {
  subscribe()
  return Date.now()
}

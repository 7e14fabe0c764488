import { MediaQuery } from 'svelte/reactivity'

export type Theme = 'system' | 'light' | 'dark'

const key = 'flota.theme' // public/theme.js reads it before the first paint
const system = new MediaQuery('(prefers-color-scheme: dark)')

let chosen = $state<Theme>((document.documentElement.dataset.theme as Theme | undefined) ?? 'system')

export const theme = {
  get chosen() {
    return chosen
  },
  get dark() {
    return chosen === 'system' ? system.current : chosen === 'dark'
  },
  choose(next: Theme) {
    chosen = next
    const { dataset } = document.documentElement
    if (next === 'system') delete dataset.theme
    else dataset.theme = next
    try {
      if (next === 'system') localStorage.removeItem(key)
      else localStorage.setItem(key, next)
    } catch {
      // no storage: it then lasts as long as the page
    }
  },
}

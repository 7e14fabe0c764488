/** Where the page is. */
const place = $state({ path: location.pathname, query: location.search })

export const here = {
  get path() {
    return place.path
  },
  get query() {
    return new URLSearchParams(place.query)
  },
}

let moved = false // since the page was loaded

function arrive() {
  moved = true
  place.path = location.pathname
  place.query = location.search
}

/** Goes to a path of this page. */
export function go(path: string, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', path)
  arrive()
  scrollTo(0, 0)
}

/** Puts the focus on a screen's title when one comes there by a link, as loading a page would; made to be attached. */
export function takeFocus(title: HTMLElement) {
  if (moved) title.focus({ preventScroll: true })
}

/** Follows the page's own links without loading it anew. */
export function followLinks() {
  addEventListener('popstate', arrive)
  addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element).closest('a')
    if (!link || link.origin !== location.origin || link.target || link.hasAttribute('download')) return
    event.preventDefault()
    go(link.pathname + link.search)
  })
}

/**
 * Puts text on the clipboard. Browsers offer their clipboard only over HTTPS
 * and on localhost; elsewhere the old way still works.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyFromPage(text)
  }
}

function copyFromPage(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'fixed opacity-0'
  // Inside an open dialog, where the focus is kept.
  const home = document.querySelector('[role=dialog]') ?? document.body
  home.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  return copied
}

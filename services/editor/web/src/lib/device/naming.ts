const digits = 3

/** The product ID after the highest `bot_…` that is taken, such as `bot_004`. */
export function nextProductId(taken: readonly string[]): string {
  const numbers = taken.map((id) => Number(/^bot_(\d{1,9})$/i.exec(id)?.[1] ?? 0))
  return `bot_${String(Math.max(0, ...numbers) + 1).padStart(digits, '0')}`
}

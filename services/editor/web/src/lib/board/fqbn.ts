import type { Board, Farm } from '$lib/api/types'

/** A board's name and the options chosen for it: `vendor:arch:board:option=value,…`. */
export interface Fqbn {
  board: string
  options: Record<string, string>
}

export function parseFqbn(text: string): Fqbn {
  const [vendor = '', arch = '', id = '', ...rest] = text.split(':')
  const options: Record<string, string> = {}
  for (const pair of rest.join(':').split(',')) {
    const at = pair.indexOf('=')
    if (at > 0) options[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return { board: [vendor, arch, id].filter(Boolean).join(':'), options }
}

/** Writes the options that differ from the board's own choice, in the board's order. */
export function formatFqbn(board: Board, chosen: Record<string, string>): string {
  const options = board.options.flatMap(({ id, values }) => {
    const value = chosen[id]
    const known = values.find((v) => v.id === value)
    return known && !known.selected ? [`${id}=${known.id}`] : []
  })
  return options.length ? `${board.fqbn}:${options.join(',')}` : board.fqbn
}

/** The option's value that counts: the chosen one where the board has it, else the board's own. */
export function optionValue(option: Board['options'][number], chosen: Record<string, string>): string {
  const value = option.values.find((v) => v.id === chosen[option.id]) ?? option.values.find((v) => v.selected)
  return value?.id ?? option.values[0]?.id ?? ''
}

/** The board on offer that this name stands for. */
export function findBoard(farm: Farm | undefined, fqbn: string | undefined): Board | undefined {
  if (!farm || !fqbn) return undefined
  const { board } = parseFqbn(fqbn)
  return farm.platforms.flatMap((p) => p.boards).find((b) => b.fqbn === board)
}

/** What to call a board: its name where it is on offer, else its identifier. */
export function boardName(farm: Farm | undefined, fqbn: string | undefined): string {
  if (!fqbn) return ''
  return findBoard(farm, fqbn)?.name ?? parseFqbn(fqbn).board
}

/** The platforms with the boards that a project of this kind can use and whose name has every word of the search. */
export function searchBoards(farm: Farm | undefined, kind: Board['kind'], search: string) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const fits = (b: Board, platform: string) => {
    const text = `${b.name} ${b.fqbn} ${platform}`.toLowerCase()
    return b.kind === kind && words.every((word) => text.includes(word))
  }
  return (farm?.platforms ?? [])
    .map((p) => ({ ...p, boards: p.boards.filter((b) => fits(b, p.name)) }))
    .filter((p) => p.boards.length > 0)
}

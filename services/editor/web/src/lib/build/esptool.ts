import type { Build, Output } from '$lib/api/types'

/** A file that a first flash by cable writes. */
export type CablePart = Output & { offset: number }

/** What a first flash by cable writes, by address. */
export function cableParts(build: Pick<Build, 'outputs'>): CablePart[] {
  return build.outputs.filter((o): o is CablePart => o.offset !== undefined).sort((a, b) => a.offset - b.offset)
}

/** An address as esptool writes it, such as `0x10000`. */
export function address(offset: number): string {
  return `0x${offset.toString(16)}`
}

/**
 * The command that writes a build over the cable, in the folder of its files;
 * undefined where esptool cannot. Its words are those that versions 4 and 5 of
 * esptool both take: 5 prefers `write-flash` and `--flash-mode`, which 4 does not
 * know.
 */
export function esptoolCommand(build: Pick<Build, 'flash' | 'outputs'>): string | undefined {
  const parts = cableParts(build)
  if (!build.flash || parts.length === 0) return undefined
  const { chip, baud, mode, frequency, size } = build.flash
  const option = (name: string, value: string | number) => (value ? [name, String(value)] : [])
  return [
    'esptool',
    ...option('--chip', chip),
    ...option('--baud', baud),
    'write_flash',
    ...option('-fm', mode),
    ...option('-ff', frequency),
    ...option('-fs', size),
    ...parts.flatMap(({ offset, name }) => [address(offset), quoted(name)]),
  ].join(' ')
}

/** A file's name as one word for a shell. */
function quoted(name: string): string {
  return /^[\w.+-]+$/.test(name) && !name.startsWith('-') ? name : `'./${name.replaceAll("'", `'\\''`)}'`
}

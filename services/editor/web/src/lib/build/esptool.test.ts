import { expect, test } from 'vitest'
import { cableParts, esptoolCommand } from './esptool'

const output = (name: string, offset?: number) => ({ role: 'other' as const, name, size: 1, sha256: '', offset })
const flash = { chip: 'esp32c3', baud: 460800, mode: 'dio', frequency: '80m', size: '4MB' }
const outputs = [
  output('Blink.ino.bin', 0x10000),
  output('Blink.ino.elf'),
  output('boot_app0.bin', 0xe000),
  output('Blink.ino.bootloader.bin', 0),
  output('Blink.ino.partitions.bin', 0x8000),
]

test('all files that have a place are written, by address', () => {
  expect(cableParts({ outputs }).map((p) => p.offset)).toEqual([0, 0x8000, 0xe000, 0x10000])
  expect(esptoolCommand({ flash, outputs })).toBe(
    'esptool --chip esp32c3 --baud 460800 write_flash -fm dio -ff 80m -fs 4MB ' +
      '0x0 Blink.ino.bootloader.bin 0x8000 Blink.ino.partitions.bin 0xe000 boot_app0.bin 0x10000 Blink.ino.bin',
  )
})

test('what is not said is left to esptool', () =>
  expect(esptoolCommand({ flash: { ...flash, mode: '', frequency: '', size: '' }, outputs: [output('a.bin', 16)] })).toBe(
    'esptool --chip esp32c3 --baud 460800 write_flash 0x10 a.bin',
  ))

test.each([
  ['My sketch.bin', `'./My sketch.bin'`],
  [`it's.bin`, `'./it'\\''s.bin'`],
  ['$(reboot).bin', `'./$(reboot).bin'`],
  ['-x.bin', `'./-x.bin'`],
])('the name %s is one word: %s', (name, word) => expect(esptoolCommand({ flash, outputs: [output(name, 0)] })).toMatch(word))

test('there is no command without a chip or a file', () => {
  expect(esptoolCommand({ outputs })).toBeUndefined()
  expect(esptoolCommand({ flash, outputs: [output('a.elf')] })).toBeUndefined()
})

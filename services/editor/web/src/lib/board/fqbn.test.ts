import { expect, test } from 'vitest'
import type { Board, Farm } from '$lib/api/types'
import { boardName, findBoard, formatFqbn, optionValue, parseFqbn, searchBoards } from './fqbn'

const board: Board = {
  fqbn: 'esp32:esp32:esp32c3',
  name: 'ESP32-C3 Dev Module',
  kind: 'arduino',
  options: [
    { id: 'FlashMode', label: 'Flash mode', values: [{ id: 'qio', label: 'QIO', selected: true }, { id: 'dio', label: 'DIO', selected: false }] },
    { id: 'Part', label: 'Partitions', values: [{ id: 'default', label: 'Default', selected: true }, { id: 'big', label: 'Big', selected: false }] },
  ],
}
const pico: Board = { fqbn: 'flota:micropython:pico', name: 'Pico', kind: 'micropython', options: [] }
const farm: Farm = {
  workers: 1, slots: 1, free: 1,
  platforms: [
    { id: 'esp32:esp32', version: '3', name: 'Espressif', boards: [board] },
    { id: 'flota:micropython', version: '1', name: 'MicroPython', boards: [pico] },
  ],
}

test('a name is taken apart', () => {
  expect(parseFqbn('esp32:esp32:esp32c3:FlashMode=dio,Part=big')).toEqual({
    board: 'esp32:esp32:esp32c3',
    options: { FlashMode: 'dio', Part: 'big' },
  })
  expect(parseFqbn('')).toEqual({ board: '', options: {} })
})

test.each([
  [{}, 'esp32:esp32:esp32c3'],
  [{ FlashMode: 'qio' }, 'esp32:esp32:esp32c3'],
  [{ Part: 'big', FlashMode: 'dio' }, 'esp32:esp32:esp32c3:FlashMode=dio,Part=big'],
  [{ FlashMode: 'gone', Other: 'x' }, 'esp32:esp32:esp32c3'],
])('options %j are written as %s', (chosen, fqbn) => expect(formatFqbn(board, chosen)).toBe(fqbn))

test('an option counts as the board has it where nothing else is chosen', () => {
  expect(optionValue(board.options[0]!, {})).toBe('qio')
  expect(optionValue(board.options[0]!, { FlashMode: 'dio' })).toBe('dio')
  expect(optionValue(board.options[0]!, { FlashMode: 'gone' })).toBe('qio')
})

test('a board is found and named, also when nobody offers it', () => {
  expect(findBoard(farm, 'esp32:esp32:esp32c3:Part=big')).toBe(board)
  expect(boardName(farm, 'esp32:esp32:esp32c3:Part=big')).toBe('ESP32-C3 Dev Module')
  expect(boardName(farm, 'a:b:c:d=e')).toBe('a:b:c')
})

test('a search finds words anywhere, of one kind of project', () => {
  expect(searchBoards(farm, 'arduino', 'c3 esp').flatMap((p) => p.boards)).toEqual([board])
  expect(searchBoards(farm, 'arduino', 'pico')).toEqual([])
  expect(searchBoards(farm, 'micropython', '').flatMap((p) => p.boards)).toEqual([pico])
  expect(searchBoards(undefined, 'arduino', '')).toEqual([])
})

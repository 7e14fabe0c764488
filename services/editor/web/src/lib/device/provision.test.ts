import { expect, test } from 'vitest'
import { cableCommand, deviceCA, deviceOrigin, likelyBoard, simulatorCommand } from './provision'

test.each([
  ['http://flota.local:8081', 'http://flota.local:8081'],
  ['', 'https://flota.test'],
  [undefined, 'https://flota.test'],
  ['__DEVICE_ORIGIN__', 'https://flota.test'],
])('a device origin of %j', (configured, origin) => expect(deviceOrigin(configured, 'https://flota.test')).toBe(origin))

test('the commands name the downloaded file and no secret', () => {
  expect(simulatorCommand('bot_001')).toBe('bin/flota-simulator run --provision bot_001.json --poll 1s')
  expect(cableCommand('bot_001', 'esp32:esp32:esp32')).toBe('bin/flota-provision --port /dev/ttyUSB0 --file bot_001.json')
  expect(cableCommand('bot_001', 'micropython:py:rpi_pico_w')).toBe('bin/flota-provision --port /dev/ttyACM0 --micropython --file bot_001.json')
  expect(cableCommand('bot_001', 'rp2040:rp2040:rpipicow')).toBe('bin/flota-provision --port /dev/ttyACM0 --file bot_001.json')
})

const project = (fqbn: string | undefined, day: number, device?: string) => ({ fqbn, device, changed_at: `2026-01-0${day}T00:00:00Z` })

test.each([
  ['what it says', { device: 'd1', board: 'a:b:said:x=1' }, [project('a:b:own', 1, 'd1')], 'a:b:said'],
  ['its own project', { device: 'd1' }, [project('a:b:last', 3), project('a:b:own:x=1', 1, 'd1')], 'a:b:own'],
  ['the last project', { device: 'd1' }, [project('a:b:old', 1), project('a:b:last', 3), project(undefined, 4), project('a:b:theirs', 5, 'd2')], 'a:b:last'],
  ['nothing', { device: 'd1' }, [project(undefined, 1)], ''],
])('the likely board by %s', (_, device, projects, board) => expect(likelyBoard(device, projects)).toBe(board))

const pem = '-----BEGIN CERTIFICATE-----\n…'

test.each([
  [pem, 'https://flota.test', pem],
  [pem, 'http://flota.test:8081', undefined],
  ['', 'https://flota.test', undefined],
  ['__DEVICE_CA__', 'https://flota.test', undefined],
  [undefined, 'https://flota.test', undefined],
])('the authority %j at %s', (configured, server, ca) => expect(deviceCA(configured, server)).toBe(ca))

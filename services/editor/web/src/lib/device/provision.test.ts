import { expect, test } from 'vitest'
import { deviceOrigin, simulatorCommand } from './provision'

test.each([
  ['http://flota.local:8081', 'http://flota.local:8081'],
  ['', 'https://flota.test'],
  [undefined, 'https://flota.test'],
  ['__DEVICE_ORIGIN__', 'https://flota.test'],
])('a device origin of %j', (configured, origin) => expect(deviceOrigin(configured, 'https://flota.test')).toBe(origin))

test('the command names the downloaded file and no secret', () =>
  expect(simulatorCommand('bot_001')).toBe('bin/flota-simulator run --provision bot_001.json --poll 1s'))

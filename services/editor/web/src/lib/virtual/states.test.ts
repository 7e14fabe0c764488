import { expect, test } from 'vitest'
import { brightness, pinInput, resetReason } from './states'

test.each([
  ['out', 1, 1, undefined],
  ['out', 0, 0, undefined],
  ['pwm', 51, 0.2, undefined],
  ['pwm', 4095, 1, undefined],
  ['in', 1, 0, 'digital'],
  ['pullup', 1, 0, 'digital'],
  ['adc', 4095, 0, 'analog'],
] as const)('a pin that is %s at %i shines %f and takes %s', (mode, value, light, input) => {
  expect(brightness({ mode, value })).toBe(light)
  expect(pinInput({ mode })).toBe(input)
})

test.each([
  ['crash', 'its program crashed'],
  ['lightning', 'lightning'],
  [undefined, ''],
])('a start by %s is because %s', (reset, text) => expect(resetReason(reset)).toBe(text))

import { expect, test } from 'vitest'
import { nextProductId } from './naming'

test.each([
  [[], 'bot_001'],
  [['bot_001', 'bot_002'], 'bot_003'],
  [['bot_007', 'bot_002', 'kitchen'], 'bot_008'],
  [['bot_999'], 'bot_1000'],
  [['BOT_004', 'robot_900', 'bot_12a'], 'bot_005'],
])('after %j comes %s', (taken, next) => expect(nextProductId(taken)).toBe(next))

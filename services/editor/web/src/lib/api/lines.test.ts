import { expect, test } from 'vitest'
import { jsonLines } from './lines'

function stream(...chunks: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk))
      controller.close()
    },
  })
}

test.each([
  ['whole lines', ['{"a":1}\n{"a":2}\n'], [{ a: 1 }, { a: 2 }]],
  ['cut lines', ['{"a"', ':1}\n{"a":', '2}\n'], [{ a: 1 }, { a: 2 }]],
  ['no end of line', ['{"a":1}'], [{ a: 1 }]],
  ['nothing', [], []],
])('lines of JSON: %s', async (_, chunks, values) => {
  const got: unknown[] = []
  for await (const value of jsonLines(stream(...chunks))) got.push(value)
  expect(got).toEqual(values)
})

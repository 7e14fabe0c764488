import { expect, test } from 'vitest'
import { Steps } from './steps.svelte'

test('after a failure it goes on where it stopped', async () => {
  const done: string[] = []
  let works = false
  const steps = new Steps([
    { label: 'first', run: async () => void done.push('first') },
    {
      label: 'second',
      run: async () => {
        if (!works) throw new Error('not yet')
        done.push('second')
      },
    },
    { label: 'third', run: async () => void done.push('third') },
  ])
  expect(await steps.run()).toBe(false)
  expect(steps.list.map((s) => s.state)).toEqual(['done', 'failed', 'waiting'])
  expect(steps.list[steps.failed]!.fault).toBe('not yet')
  works = true
  expect(await steps.run()).toBe(true)
  expect(done).toEqual(['first', 'second', 'third'])
  expect(steps.failed).toBe(-1)
})

test('while it runs it is not started again', async () => {
  let finish = () => {}
  let started = 0
  const steps = new Steps([{ label: 'slow', run: () => new Promise<void>((resolve) => ((finish = resolve), started++)) }])
  const first = steps.run()
  expect(steps.running).toBe(true)
  expect(await steps.run()).toBe(false)
  finish()
  expect(await first).toBe(true)
  expect(started).toBe(1)
})

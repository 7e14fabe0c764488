// The simulated device, started by the command that the page shows.
import { spawn } from 'node:child_process'
import { simulator } from './settings.mjs'

/** Starts a device; gives the function that ends it and tells what it printed. */
export function startDevice(command, folder) {
  const program = 'bin/flota-simulator'
  if (!command.startsWith(`${program} `)) throw new Error(`the page shows another command: ${command}`)
  const child = spawn('/bin/sh', ['-c', `exec ${simulator} ${command.slice(program.length)}`], { cwd: folder })
  let printed = ''
  child.stdout.on('data', (chunk) => (printed += chunk))
  child.stderr.on('data', (chunk) => (printed += chunk))
  const ended = new Promise((resolve) => child.on('close', resolve))
  return {
    printed: () => printed,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

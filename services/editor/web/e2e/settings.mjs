// What the scenarios are told by whoever starts them.
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const env = (name) => process.env[`FLOTA_E2E_${name}`] ?? ''

function needed(name) {
  const value = env(name)
  if (!value) throw new Error(`FLOTA_E2E_${name} is not set; see e2e/README.md`)
  return value
}

export const url = needed('URL').replace(/\/$/, '')
export const setupToken = needed('SETUP_TOKEN')
export const simulator = needed('SIMULATOR')
export const boards = env('BOARDS') !== ''
export const hostUrl = env('HOST_URL').replace(/\/$/, '')
export const chromium = env('CHROMIUM') || '/usr/bin/chromium'

/** A folder for what the scenarios download. */
export const folder = mkdtempSync(join(tmpdir(), 'flota-e2e-'))
export const shots = env('SHOTS') || join(folder, 'shots')
mkdirSync(shots, { recursive: true })

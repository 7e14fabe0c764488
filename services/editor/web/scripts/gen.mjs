// Writes the types of the browser-facing APIs from their OpenAPI files.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))

for (const service of ['auth', 'boards', 'editor', 'fleet']) {
  const spec = at(`../../../${service}/httpapi/openapi.yaml`)
  const types = at(`../src/api/${service}.d.ts`)
  execFileSync(process.execPath, [at('../node_modules/openapi-typescript/bin/cli.js'), spec, '-o', types], { stdio: 'inherit' })
}

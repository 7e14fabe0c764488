// A Vite plugin that writes .br and .gz beside every asset worth it, so that
// the server never compresses while somebody waits. index.html is a template
// that the server fills in for each request, so it is left alone.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const smallest = 1024
const compressible = /\.(js|css|svg|json|txt|webmanifest)$/

/** @returns {import('vite').Plugin} */
export function precompress() {
  let dist = ''
  return {
    name: 'precompress',
    apply: 'build',
    configResolved: (config) => void (dist = config.build.outDir),
    async closeBundle() {
      for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !compressible.test(entry.name)) continue
        const path = join(entry.parentPath, entry.name)
        const bytes = await readFile(path)
        if (bytes.length < smallest) continue
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
        await writeFile(`${path}.br`, brotliCompressSync(bytes, { params }))
        await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }))
      }
    },
  }
}

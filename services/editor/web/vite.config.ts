import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vitest/config'
import { precompress } from './scripts/precompress.mjs'

const backend = process.env.FLOTA_DEV_SERVER ?? 'http://127.0.0.1:8080'
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const browsers = ['chrome123', 'firefox120', 'safari17.5'] // the first with light-dark()

export default defineConfig({
  plugins: [svelte(), tailwindcss(), precompress()],
  resolve: { alias: { $lib: at('./src/lib'), $api: at('./src/api') } },
  build: { target: browsers, cssTarget: browsers, assetsInlineLimit: 0, reportCompressedSize: false, chunkSizeWarningLimit: 700 },
  server: { proxy: { '/api': backend, '/dl': backend } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})

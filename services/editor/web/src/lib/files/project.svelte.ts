import { hasCode } from '$lib/api/error'
import { editor, ok } from '$lib/api/client'
import type { Project } from '$lib/api/types'
import { Autosave, type SaveState } from './autosave'

const order: SaveState[] = ['conflict', 'failed', 'saving', 'dirty', 'saved']

/** The working files of one project, as this page edits them. */
export class ProjectFiles {
  project = $state.raw() as Project
  /** How each file that was opened stands. */
  states = $state<Record<string, SaveState>>({})
  #files = new Map<string, Autosave>()

  constructor(project: Project) {
    this.project = project
  }

  get paths(): string[] {
    return this.project.files.map((f) => f.path)
  }

  /** How the project stands: as its worst file. */
  get state(): SaveState {
    const all = Object.values(this.states)
    return order.find((s) => all.includes(s)) ?? 'saved'
  }

  /** A file's content, with what is not saved yet. */
  async open(path: string): Promise<string> {
    const known = this.#files.get(path)
    if (known) return known.content
    const { content, sha256 } = await this.#get(path)
    // Two openings of one file may cross; the first one counts.
    if (!this.#files.has(path)) this.#files.set(path, this.#autosave(path, content, sha256))
    return this.#files.get(path)!.content
  }

  edit(path: string, content: string) {
    this.#files.get(path)?.edit(content)
  }

  /** Saves everything; true when nothing is left unsaved. */
  async flush(): Promise<boolean> {
    const flushed = await Promise.all([...this.#files.values()].map((file) => file.flush()))
    return flushed.every(Boolean)
  }

  /** Ends a conflict with one's own content. */
  async keepMine(path: string) {
    const { sha256 } = await this.#get(path)
    await this.#files.get(path)?.keepMine(sha256)
  }

  /** Ends a conflict with what the server has; gives it. */
  async takeTheirs(path: string): Promise<string> {
    const { content, sha256 } = await this.#get(path)
    this.#files.get(path)?.reset(content, sha256)
    return content
  }

  async add(path: string, content = '') {
    const body = { content, base: '' }
    const file = await ok(editor.PUT('/projects/{project}/file', { params: this.#params(path), body }))
    this.#list([...this.project.files.filter((f) => f.path !== path), file])
  }

  async rename(from: string, to: string) {
    await this.#files.get(from)?.flush()
    const params = { path: { project: this.project.id } }
    const file = await ok(editor.POST('/projects/{project}/rename', { params, body: { from, to } }))
    this.#forget(from)
    this.#list([...this.project.files.filter((f) => f.path !== from), file])
  }

  async remove(path: string) {
    await ok(editor.DELETE('/projects/{project}/file', { params: this.#params(path) }))
    this.#forget(path)
    this.#list(this.project.files.filter((f) => f.path !== path))
  }

  async chooseBoard(fqbn: string) {
    const params = { path: { project: this.project.id } }
    const { fqbn: now } = await ok(editor.PATCH('/projects/{project}', { params, body: { fqbn } }))
    this.project = { ...this.project, fqbn: now }
  }

  /** Takes files that the server changed. @returns those of them that are open */
  async replaced(project: Project): Promise<string[]> {
    this.project = project
    const open = [...this.#files]
    const changed = open.filter(([path, file]) => project.files.find((f) => f.path === path)?.sha256 !== file.base).map(([path]) => path)
    for (const path of changed) {
      if (this.paths.includes(path)) await this.takeTheirs(path)
      else this.#forget(path)
    }
    return changed
  }

  /** Takes settings that were changed elsewhere on this page. */
  changed({ name, unmanaged }: Project) {
    this.project = { ...this.project, name, unmanaged }
  }

  /** Sends what is unsaved and ends the timers. */
  close() {
    for (const file of this.#files.values()) void file.flush().finally(() => file.stop())
  }

  #params(path: string) {
    return { path: { project: this.project.id }, query: { path } }
  }

  #get(path: string) {
    return ok(editor.GET('/projects/{project}/file', { params: this.#params(path) }))
  }

  #list(files: Project['files']) {
    this.project = { ...this.project, files }
  }

  #forget(path: string) {
    this.#files.get(path)?.stop()
    this.#files.delete(path)
    delete this.states[path]
  }

  #autosave(path: string, content: string, sha256: string): Autosave {
    return new Autosave(content, sha256, {
      save: (text, base) => this.#save(path, text, base),
      isConflict: (error) => hasCode(error, 'conflict'),
      onState: (state) => (this.states[path] = state),
    })
  }

  async #save(path: string, content: string, base: string): Promise<string> {
    try {
      const file = await ok(editor.PUT('/projects/{project}/file', { params: this.#params(path), body: { content, base } }))
      return file.sha256
    } catch (error) {
      if (!hasCode(error, 'conflict')) throw error
      // The answer to an earlier save of the same text may have been lost on the way.
      const now = await this.#get(path).catch(() => undefined)
      if (now?.content === content) return now.sha256
      throw error
    }
  }
}

import type { Project } from '$lib/api/types'

/** What a project is written in, for people. */
export const kindName: Record<Project['kind'], string> = { arduino: 'Arduino', micropython: 'MicroPython' }

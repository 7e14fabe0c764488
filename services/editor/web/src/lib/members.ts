import type { Member } from '$lib/api/types'

/** The roles of a workspace's members, and what each may do. */
export const roles: { id: Member['role']; label: string; may: string }[] = [
  { id: 'owner', label: 'Owner', may: 'may do everything, and decides who belongs to the workspace' },
  { id: 'maintainer', label: 'Maintainer', may: 'writes, compiles, deploys, and registers devices' },
  { id: 'viewer', label: 'Viewer', may: 'sees everything and changes nothing' },
]

import type { components as Auth } from '$api/auth'
import type { components as Boards } from '$api/boards'
import type { components as Editor } from '$api/editor'
import type { components as Fleet } from '$api/fleet'

export type Member = Auth['schemas']['Member']
export type Me = Auth['schemas']['Me']
export type NewProduct = Auth['schemas']['NewProduct']

export type BoardKind = Boards['schemas']['BoardKind']
export type Offer = Boards['schemas']['Offer']
export type Pin = Boards['schemas']['Pin']
export type VirtualBoard = Boards['schemas']['Board']

export type Board = Editor['schemas']['Board']
export type Build = Editor['schemas']['Build']
export type BoardEvent = Editor['schemas']['BoardEvent']
export type BuildEvent = Editor['schemas']['BuildEvent']
export type Dependencies = Editor['schemas']['Dependencies']
export type Dependency = Editor['schemas']['Dependency']
export type DeviceEvent = Editor['schemas']['DeviceEvent']
export type Diagnostic = Editor['schemas']['Diagnostic']
export type Example = Editor['schemas']['Example']
export type Farm = Editor['schemas']['Farm']
export type LogEvent = Editor['schemas']['LogEvent']
export type LogLine = Editor['schemas']['LogLine']
export type Memory = Editor['schemas']['Memory']
export type Output = Editor['schemas']['Output']
export type Project = Editor['schemas']['Project']
export type ProjectFile = Editor['schemas']['File']
export type FetchProgress = Editor['schemas']['FetchProgress']
export type ResolveEvent = Editor['schemas']['ResolveEvent']
export type SerialEvent = Editor['schemas']['SerialEvent']

export type Device = Fleet['schemas']['Device']
export type HistoryEntry = Fleet['schemas']['HistoryEntry']
export type Release = Fleet['schemas']['Release']

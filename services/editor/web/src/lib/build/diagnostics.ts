import type { Diagnostic } from '$lib/api/types'

/** What of a CodeMirror document is needed to find a place in it. */
export interface Lines {
  readonly lines: number
  line(n: number): { from: number; to: number; text: string }
}

/** A diagnostic's range in the document, as CodeMirror's linter wants it. */
export interface Mark {
  from: number
  to: number
  severity: 'error' | 'warning' | 'info'
  message: string
}

const severity = { error: 'error', warning: 'warning', note: 'info' } as const

/** The position of a line and column, both from 1, in this document, whatever has become of it since. */
export function position(doc: Lines, line: number, column: number): number {
  const at = doc.line(clamp(line, 1, doc.lines))
  return at.from + clamp(column - 1, 0, at.to - at.from)
}

/** Marks a diagnostic's word, or at least one character, on its line. */
export function mark(doc: Lines, d: Diagnostic): Mark {
  const line = doc.line(clamp(d.line, 1, doc.lines))
  let start = clamp(d.column - 1, 0, line.text.length)
  if (start > 0 && start === line.text.length) start-- // compilers point behind the end for what is missing there
  const word = /^[\w$]+/.exec(line.text.slice(start))?.[0].length ?? 1
  return {
    from: line.from + start,
    to: Math.min(line.from + start + word, line.to),
    severity: severity[d.severity],
    message: d.message,
  }
}

/** The marks of one file; what points at a line that is gone or empty by now is left out. */
export function marksOf(doc: Lines, diagnostics: readonly Diagnostic[], file: string): Mark[] {
  const there = (d: Diagnostic) => d.line <= doc.lines && (d.column <= 1 || doc.line(Math.max(1, d.line)).text !== '')
  return diagnostics.filter((d) => d.file === file && there(d)).map((d) => mark(doc, d))
}

/** How many of each there are, in words: `2 errors, 1 warning`; '' for none. */
export function countProblems(diagnostics: readonly Diagnostic[]): string {
  const count = (kind: Diagnostic['severity']) => diagnostics.filter((d) => d.severity === kind).length
  return [plural(count('error'), 'error'), plural(count('warning'), 'warning')].filter(Boolean).join(', ')
}

function plural(n: number, word: string): string {
  return n ? `${n} ${word}${n === 1 ? '' : 's'}` : ''
}

function clamp(n: number, least: number, most: number): number {
  return Math.max(least, Math.min(n, most))
}

/** A file or a folder in the tree; a folder has children. */
export interface Node {
  name: string
  path: string
  children?: Node[]
}

/** Builds the tree of these paths: folders first, then files, each by name. */
export function buildTree(paths: readonly string[]): Node[] {
  const root: Node[] = []
  for (const path of paths) {
    const names = path.split('/')
    let level = root
    names.forEach((name, i) => {
      const isFile = i === names.length - 1
      const here = names.slice(0, i + 1).join('/')
      let node = level.find((n) => n.path === here && isFile === !n.children)
      if (!node) level.push((node = isFile ? { name, path } : { name, path: here, children: [] }))
      level = node.children ?? []
    })
  }
  return sort(root)
}

const byName = new Intl.Collator('en', { numeric: true }).compare

function sort(nodes: Node[]): Node[] {
  for (const node of nodes) if (node.children) sort(node.children)
  return nodes.sort((a, b) => Number(!a.children) - Number(!b.children) || byName(a.name, b.name))
}

/**
 * Why a path cannot be a new file's, as a sentence, or '' when it can. The
 * server has the last word; this tells while one types.
 */
export function pathFault(path: string, taken: readonly string[]): string {
  if (!path) return 'Type a file name.'
  if (path.length > 200) return 'A path has at most 200 characters.'
  const names = path.split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..')) return 'This is no path inside the project.'
  // eslint-disable-next-line no-control-regex
  if (/[\\:*?"<>|\x00-\x1f\x7f]/.test(path)) return 'A path has no \\ : * ? " < > | in it.'
  const lower = path.toLowerCase() // a sketch must also compile where case means nothing
  if (taken.some((other) => other.toLowerCase() === lower)) return 'There is such a file already.'
  if (taken.some((other) => other.toLowerCase().startsWith(`${lower}/`))) return 'There is a folder of that name.'
  return ''
}

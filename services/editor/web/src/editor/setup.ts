import { autocompletion, closeBrackets, closeBracketsKeymap, completeAnyWord, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { cpp } from '@codemirror/lang-cpp'
import { python } from '@codemirror/lang-python'
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from '@codemirror/language'
import { lintGutter, lintKeymap } from '@codemirror/lint'
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search'
import { EditorState, type Extension } from '@codemirror/state'
import {
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  rectangularSelection,
} from '@codemirror/view'
import { appearance } from './theme'

/** The nonce under which this page may add style sheets. */
function cspNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.nonce ?? ''
}

function language(path: string): Extension {
  if (/\.(ino|pde|c|cc|cpp|cxx|h|hh|hpp|hxx|ipp|tpp)$/i.test(path)) return [cpp(), indentUnit.of('  ')]
  if (/\.pyi?$/i.test(path)) return [python(), indentUnit.of('    ')]
  return []
}

/** All that is the same for every file. */
const common: Extension = [
  EditorView.cspNonce.of(cspNonce()),
  lineNumbers(),
  lintGutter(),
  foldGutter(),
  highlightActiveLineGutter(),
  highlightSpecialChars(),
  history(),
  drawSelection(),
  dropCursor(),
  EditorState.allowMultipleSelections.of(true),
  EditorState.tabSize.of(4),
  indentOnInput(),
  bracketMatching(),
  closeBrackets(),
  autocompletion({ override: [completeAnyWord], activateOnTypingDelay: 200 }),
  rectangularSelection(),
  highlightActiveLine(),
  highlightSelectionMatches(),
  // Escape, then Tab leaves the editor: CodeMirror's own rule, in spite of indentWithTab.
  keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
  appearance,
]

/** The state of a file that was just opened. */
export function fileState(path: string, content: string, readonly: boolean, changed: (content: string) => void): EditorState {
  return EditorState.create({
    doc: content,
    extensions: [
      common,
      language(path),
      EditorState.readOnly.of(readonly),
      EditorView.contentAttributes.of({ 'aria-label': `Code of ${path}`, 'aria-describedby': 'editor-hint', tabindex: '0' }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) changed(update.state.doc.toString())
      }),
    ],
  })
}

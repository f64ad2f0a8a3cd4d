// Monaco, in a frame with a policy of its own: it sets styles that the policy of the console refuses. The frame can
// neither fetch nor navigate; all that it gets and gives are texts.

import "./frame.css";
import * as monaco from "monaco-editor/editor.js";
import "monaco-editor/features/register.all.js";
import "monaco-editor/language/json/monaco.contribution.js";
import "monaco-editor/language/typescript/monaco.contribution.js";
import "monaco-editor/languages/definitions/javascript/register.js";
import "monaco-editor/languages/definitions/typescript/register.js";
import "monaco-editor/languages/definitions/css/register.js";
import "monaco-editor/languages/definitions/html/register.js";
import "monaco-editor/languages/definitions/ini/register.js";
import "monaco-editor/languages/definitions/markdown/register.js";
import "monaco-editor/languages/definitions/sql/register.js";
import EditorWorker from "monaco-editor/editor/editor.worker.js?worker";
import JsonWorker from "monaco-editor/language/json/json.worker.js?worker";
import TypeScriptWorker from "monaco-editor/language/typescript/ts.worker.js?worker";
import { Project } from "./project";
import { HELLO, type FromEditor, type ToEditor } from "./protocol";

self.MonacoEnvironment = {
  getWorker(_: string, label: string): Worker {
    if (label === "json") return new JsonWorker();
    if (label === "typescript" || label === "javascript") return new TypeScriptWorker();
    return new EditorWorker();
  },
};

const place = document.getElementById("editor") as HTMLElement;
const common = {
  automaticLayout: true,
  minimap: { enabled: false },
  scrollBeyondLastLine: false,
  fontSize: 13,
} as const;
let shown: { dispose(): void } | undefined;
let project: Project | undefined;
// Escape closes suggestions, signatures and the search first.
const NOTHING_OPEN = "!suggestWidgetVisible && !parameterHintsVisible && !findWidgetVisible && !renameInputVisible";

function serve(port: MessagePort): void {
  const say = (message: FromEditor): void => port.postMessage(message);
  // Tab indents in an editor: Escape leaves it, so that nobody who has only a keyboard is caught.
  const leaves = (editor: monaco.editor.IStandaloneCodeEditor): void => {
    editor.addCommand(monaco.KeyCode.Escape, () => say({ type: "leave" }), NOTHING_OPEN);
  };
  port.onmessage = ({ data }: MessageEvent<ToEditor>) => {
    if (data.type === "theme") {
      monaco.editor.setTheme(data.dark ? "vs-dark" : "vs");
      return;
    }
    if (data.type !== "open" && data.type !== "diff" && data.type !== "project") {
      project?.handle(data);
      return;
    }
    project = undefined;
    shown?.dispose();
    for (const model of monaco.editor.getModels()) model.dispose();
    if (data.type === "diff") {
      const { file, editable = false } = data;
      const uri = (side: string): monaco.Uri => monaco.Uri.parse(`file:///${side}/${encodeURIComponent(file)}`);
      const editor = monaco.editor.createDiffEditor(place, {
        ...common,
        readOnly: !editable,
        originalEditable: false,
        useInlineViewWhenSpaceIsLimited: true,
      });
      const modified = monaco.editor.createModel(data.after, undefined, uri("after"));
      editor.setModel({ original: monaco.editor.createModel(data.before, undefined, uri("before")), modified });
      // Monaco leaves out the names that its own options give.
      editor.getOriginalEditor().updateOptions({ ariaLabel: `${file} (-)` });
      editor.getModifiedEditor().updateOptions({ ariaLabel: `${file} (+)` });
      modified.onDidChangeContent(() => say({ type: "changed", file, text: modified.getValue() }));
      leaves(editor.getModifiedEditor());
      shown = editor;
      return;
    }
    if (data.type === "project") {
      const editor = monaco.editor.create(place, { ...common, model: null });
      leaves(editor);
      project = new Project(editor, data.files, say);
      project.show(data.file);
      shown = project;
      return;
    }
    const { file } = data;
    const uri = monaco.Uri.parse(`file:///single/${encodeURIComponent(file)}`);
    const model = monaco.editor.createModel(data.text, undefined, uri);
    const editor = monaco.editor.create(place, { ...common, model, readOnly: data.readOnly, ariaLabel: file });
    leaves(editor);
    model.onDidChangeContent(() => say({ type: "changed", file, text: model.getValue() }));
    shown = editor;
  };
  say({ type: "ready" });
}

window.addEventListener("message", ({ data, origin, source, ports }) => {
  if (origin === window.location.origin && source === window.parent && data === HELLO && ports[0] !== undefined)
    serve(ports[0]);
});

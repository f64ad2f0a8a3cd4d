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

function serve(port: MessagePort): void {
  const say = (message: FromEditor): void => port.postMessage(message);
  port.onmessage = ({ data }: MessageEvent<ToEditor>) => {
    if (data.type === "theme") {
      monaco.editor.setTheme(data.dark ? "vs-dark" : "vs");
      return;
    }
    shown?.dispose();
    for (const model of monaco.editor.getModels()) model.dispose();
    const uri = (side: string): monaco.Uri => monaco.Uri.parse(`file:///${side}/${encodeURIComponent(data.file)}`);
    if (data.type === "diff") {
      const editor = monaco.editor.createDiffEditor(place, { ...common, readOnly: true, originalEditable: false });
      editor.setModel({
        original: monaco.editor.createModel(data.before, undefined, uri("before")),
        modified: monaco.editor.createModel(data.after, undefined, uri("after")),
      });
      shown = editor;
      return;
    }
    const { file } = data;
    const model = monaco.editor.createModel(data.text, undefined, uri("project"));
    const editor = monaco.editor.create(place, { ...common, model, readOnly: data.readOnly });
    // Tab indents in an editor: Escape leaves it, so that nobody who has only a keyboard is caught.
    editor.addCommand(monaco.KeyCode.Escape, () => say({ type: "leave" }));
    model.onDidChangeContent(() => say({ type: "changed", file, text: model.getValue() }));
    shown = editor;
  };
  say({ type: "ready" });
}

window.addEventListener("message", ({ data, origin, source, ports }) => {
  if (origin === window.location.origin && source === window.parent && data === HELLO && ports[0] !== undefined)
    serve(ports[0]);
});

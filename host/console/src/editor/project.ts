// The files of a project as models of Monaco, of which one is shown.

import * as monaco from "monaco-editor/editor.js";
import {
  JsxEmit,
  ModuleKind,
  ModuleResolutionKind,
  ScriptTarget,
  javascriptDefaults,
  typescriptDefaults,
} from "monaco-editor/languages/features/typescript/register.js";
import { jsonDefaults } from "monaco-editor/languages/features/json/register.js";
import { PATHS, PROJECT, libraries } from "./libraries";
import type { Found, FromEditor, Marker, ToEditor } from "./protocol";

type Editor = monaco.editor.IStandaloneCodeEditor;

const OWNER = "elias";

for (const defaults of [typescriptDefaults, javascriptDefaults]) {
  // As the tsconfig.json that `elias check` works by.
  defaults.setCompilerOptions({
    target: ScriptTarget.ESNext,
    module: ModuleKind.ESNext,
    moduleResolution: ModuleResolutionKind.NodeJs,
    lib: ["es2023", "dom", "dom.iterable"],
    jsx: JsxEmit.ReactJSX,
    strict: true,
    allowJs: true,
    allowImportingTsExtensions: true,
    allowNonTsExtensions: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    skipLibCheck: true,
    noEmit: true,
    paths: PATHS,
    baseUrl: PROJECT,
  });
  // A file that is not shown is imported by one that is.
  defaults.setEagerModelSync(true);
}

// tsconfig.json has comments; that package.json must have none, the check on the server says.
jsonDefaults.setDiagnosticsOptions({
  validate: true,
  allowComments: true,
  comments: "ignore",
  trailingCommas: "ignore",
});

const uriOf = (file: string): monaco.Uri => monaco.Uri.parse(PROJECT).with({ path: `/project/${file}` });
const fileOf = (uri: monaco.Uri): string | undefined =>
  uri.path.startsWith("/project/") ? uri.path.slice("/project/".length) : undefined;

export class Project {
  readonly #editor: Editor;
  readonly #say: (message: FromEditor) => void;
  readonly #models = new Map<string, monaco.editor.ITextModel>();
  // Where the cursor was in the files that are not shown.
  readonly #views = new Map<string, monaco.editor.ICodeEditorViewState | null>();
  readonly #markers: monaco.IDisposable;
  #shown = "";

  constructor(editor: Editor, files: Record<string, string>, say: (message: FromEditor) => void) {
    this.#editor = editor;
    this.#say = say;
    for (const [file, text] of Object.entries(files)) this.#put(file, text);
    this.#libraries();
    this.#markers = monaco.editor.onDidChangeMarkers(() => this.#tell());
    // Files without a defect never change their markers: what was found in the files of before ends here.
    this.#tell();
    editor.addCommand(monaco.KeyMod.CtrlCmd | monaco.KeyCode.KeyS, () => say({ type: "save" }));
  }

  handle(message: ToEditor): void {
    switch (message.type) {
      case "put":
        this.#put(message.file, message.text);
        break;
      case "drop":
        this.#models.get(message.file)?.dispose();
        this.#models.delete(message.file);
        this.#views.delete(message.file);
        this.#libraries(true);
        break;
      case "show":
        this.show(message.file, message.line, message.column);
        break;
      case "markers":
        this.#mark(message.markers);
        break;
      case "format":
        void this.#format();
        break;
    }
  }

  show(file: string, line?: number, column?: number): void {
    const model = this.#models.get(file);
    if (model === undefined) return;
    if (file !== this.#shown) {
      this.#views.set(this.#shown, this.#editor.saveViewState());
      this.#editor.setModel(model);
      this.#editor.updateOptions({ ariaLabel: file });
      const view = this.#views.get(file);
      if (view) this.#editor.restoreViewState(view);
      this.#shown = file;
    }
    if (line === undefined) return;
    this.#editor.setPosition({ lineNumber: line, column: column ?? 1 });
    this.#editor.revealLineInCenterIfOutsideViewport(line);
    this.#editor.focus();
  }

  dispose(): void {
    this.#markers.dispose();
    this.#editor.dispose();
  }

  #put(file: string, text: string): void {
    const known = this.#models.get(file);
    if (known !== undefined) {
      if (known.getValue() !== text) known.setValue(text);
      return;
    }
    const model = monaco.editor.createModel(text, undefined, uriOf(file));
    model.onDidChangeContent(() => {
      this.#say({ type: "changed", file, text: model.getValue() });
      if (file === "package.json") this.#libraries();
    });
    this.#models.set(file, model);
  }

  /** Says which libraries the project has; `anew` also if it had them: a file has gone that others may import. */
  #libraries(anew = false): void {
    const known = libraries(this.#models.get("package.json")?.getValue());
    for (const defaults of [typescriptDefaults, javascriptDefaults]) {
      const before = defaults.getExtraLibs();
      // To set them has all files checked again.
      const differs = known.some(({ filePath, content }) => before[filePath]?.content !== content);
      if (anew || differs) defaults.setExtraLibs(known);
    }
  }

  #mark(markers: Marker[]): void {
    for (const [file, model] of this.#models) {
      const own = markers.filter((marker) => marker.file === file);
      monaco.editor.setModelMarkers(
        model,
        OWNER,
        own.map(({ line, column, severity, code, message, link }) => {
          const lineNumber = Math.min(Math.max(line, 1), model.getLineCount());
          const word = model.getWordAtPosition({ lineNumber, column });
          return {
            startLineNumber: lineNumber,
            endLineNumber: lineNumber,
            startColumn: column,
            endColumn: word?.endColumn ?? model.getLineMaxColumn(lineNumber),
            severity: severity === "error" ? monaco.MarkerSeverity.Error : monaco.MarkerSeverity.Warning,
            message,
            source: "elias check",
            code: link === undefined ? code : { value: code, target: monaco.Uri.parse(link) },
          };
        }),
      );
    }
  }

  #tell(): void {
    const found = monaco.editor.getModelMarkers({}).flatMap((marker): Found[] => {
      const file = fileOf(marker.resource);
      if (marker.owner === OWNER || file === undefined || marker.severity < monaco.MarkerSeverity.Warning) return [];
      const code = typeof marker.code === "object" ? marker.code.value : marker.code;
      return [
        {
          file,
          line: marker.startLineNumber,
          column: marker.startColumn,
          severity: marker.severity === monaco.MarkerSeverity.Error ? "error" : "warning",
          code: marker.owner === "json" || code === undefined ? marker.owner : `TS${code}`,
          message: marker.message,
        },
      ];
    });
    this.#say({ type: "found", found });
  }

  async #format(): Promise<void> {
    try {
      await this.#editor.getAction("editor.action.formatDocument")?.run();
    } finally {
      this.#say({ type: "formatted" });
    }
  }
}

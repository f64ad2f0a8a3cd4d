// What the console and the frame of the editor say to each other, over a MessagePort: texts, and nothing that runs.

/** A defect at a place of a file, from the server. Numbers begin with 1. */
export interface Marker {
  file: string;
  line: number;
  column: number;
  severity: "error" | "warning";
  code: string;
  message: string;
  /** The page of the documentation about the code. */
  link?: string | undefined;
}

/** A defect that TypeScript found, for the list below the editor. */
export type Found = Omit<Marker, "link">;

export type ToEditor =
  | { type: "theme"; dark: boolean }
  | { type: "open"; file: string; text: string; readOnly: boolean }
  | { type: "diff"; file: string; before: string; after: string; editable?: boolean }
  // A project: all its files are known to TypeScript, one is shown.
  | { type: "project"; files: Record<string, string>; file: string }
  | { type: "put"; file: string; text: string }
  | { type: "drop"; file: string }
  | { type: "show"; file: string; line?: number; column?: number }
  | { type: "markers"; markers: Marker[] }
  | { type: "format" };

export type FromEditor =
  | { type: "ready" }
  | { type: "changed"; file: string; text: string }
  | { type: "found"; found: Found[] }
  // The file that is shown is formatted, or has no formatter.
  | { type: "formatted" }
  | { type: "save" }
  | { type: "leave" };

/** The message that carries the port. */
export const HELLO = "elias-editor";

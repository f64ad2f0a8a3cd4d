// What the console and the frame of the editor say to each other, over a MessagePort: texts, and nothing that runs.

export type ToEditor =
  | { type: "theme"; dark: boolean }
  | { type: "open"; file: string; text: string; readOnly: boolean }
  | { type: "diff"; file: string; before: string; after: string };

export type FromEditor = { type: "ready" } | { type: "changed"; file: string; text: string } | { type: "leave" };

/** The message that carries the port. */
export const HELLO = "elias-editor";

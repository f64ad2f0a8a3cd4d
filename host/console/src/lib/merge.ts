// Two sets of files that were both made of a third, as one.

export type Files = Record<string, string>;

export interface Merge {
  /** What was changed on one side only, or alike on both; of the conflicts it has the own side. */
  files: Files;
  /** The files that both sides changed, each in its own way; a text that is absent was deleted. */
  conflicts: { file: string; own: string | undefined; other: string | undefined }[];
}

/** The names of files in their order: those of the root after the folders, as trees of files are drawn. */
export const inOrder = (files: Files): string[] =>
  Object.keys(files).sort(
    (left, right) => Number(right.includes("/")) - Number(left.includes("/")) || left.localeCompare(right, "en"),
  );

export const sameFiles = (left: Files, right: Files): boolean =>
  Object.keys(left).length === Object.keys(right).length &&
  Object.entries(left).every(([file, text]) => right[file] === text);

/** Merges by whole files. */
export function merge(base: Files, own: Files, other: Files): Merge {
  const merged: Merge = { files: {}, conflicts: [] };
  for (const file of Object.keys({ ...base, ...own, ...other }).sort()) {
    const [before, mine, theirs] = [base[file], own[file], other[file]];
    const kept = mine === before ? theirs : mine;
    if (kept !== undefined) merged.files[file] = kept;
    if (mine !== theirs && mine !== before && theirs !== before)
      merged.conflicts.push({ file, own: mine, other: theirs });
  }
  return merged;
}

const PART = /^(?!\.{1,2}$|node_modules$|\.git$|\.elias$)[^\\\p{Cc}]+$/u;
const PATH_BYTES_MAX = 256;

/** Whether a text is the path of a file of a draft, as the server takes them. */
export const isPath = (path: string): boolean =>
  new TextEncoder().encode(path).length <= PATH_BYTES_MAX && path.split("/").every((part) => PART.test(part));

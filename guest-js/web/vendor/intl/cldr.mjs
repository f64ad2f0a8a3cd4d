// Reads the Unicode CLDR's JSON packages.
import { readFileSync } from "node:fs";

const packages = new URL("../node_modules/", import.meta.url);

/** A file of a package, for example `cldr-core/supplemental/plurals.json`. */
export const read = (file) => JSON.parse(readFileSync(new URL(file, packages), "utf8"));

/** What the English locale has in a file, for example `cldr-dates-full`, `ca-gregorian`. */
export const english = (name, file) => read(`${name}/main/en/${file}.json`).main.en;

export const supplemental = (file) => read(`cldr-core/supplemental/${file}.json`).supplemental;

/** A table as one text, which costs an image its bytes and no objects: lines `\nkey\tvalue\tvalue`. */
export function table(rows) {
  for (const cell of rows.flat()) if (/[\t\n]/.test(cell)) throw new Error(`a cell of a table cannot hold ${JSON.stringify(cell)}`);
  return rows.map((row) => `\n${row.join("\t")}`).join("");
}

// The currencies that are in use.
import { supplemental } from "./cldr.mjs";

export const madeFrom = ["cldr-core"];

const current = new Set();
for (const entries of Object.values(supplemental("currencyData").currencyData.region)) {
  for (const [code, { _to, _tender }] of entries.flatMap((entry) => Object.entries(entry))) if (_to === undefined && _tender !== "false") current.add(code);
}

export default [...current].sort().join(" ");

// Names, values and order through modules that only pass on.
import Default, { Renamed, makeThing, Thing, default as again } from "./barrel.js";
import * as barrel from "./barrel.js";
import { parity } from "./even.js";
import { shadowed } from "./shadow.js";
export default {
  names: () => [Renamed.name, Thing.name, makeThing.name, Default.name, again === Default],
  made: () => [makeThing().constructor.name, String(new Renamed("x")), makeThing() instanceof Thing],
  keys: () => Object.keys(barrel),
  inner: () => [Object.keys(barrel.inner), barrel.inner.Thing === Thing],
  live: () => { const before = barrel.count; barrel.raise(); return [before, barrel.count]; },
  ambiguous: () => ["both" in barrel, barrel.both],
  own: () => [shadowed, barrel.own],
  cycle: () => [parity(4), parity(7)],
  order: () => globalThis.corpusBarrels,
  late: () => barrel.late(),
  frozen: (names = barrel) => { try { names.count = 5; return "done"; } catch (error) { return error.name; } },
};

// CommonJS modules as Node gives them to ES modules and to each other.
import whole, * as namespace from "./transpiled.cjs";
import { named } from "./transpiled.cjs";
import callable from "./callable.cjs";
import lazy from "./lazy.cjs";
import replaced from "./replaced.cjs";
import data from "./data.cjs";
import self from "./self.cjs";
export default {
  transpiled: () => [Object.keys(whole).sort(), typeof whole.default, named, namespace.default === whole],
  callable: () => [callable(), callable.extra, callable.name, typeof callable.default],
  lazy: () => [globalThis.corpusLoaded ?? "not yet", lazy.load(), globalThis.corpusLoaded, lazy.load() === lazy.load()],
  getter: () => [lazy.counted, lazy.counted],
  replaced: () => [replaced.early, replaced.late, typeof replaced.lost],
  data: () => [data.text, data.broken, data.missing, data.optional],
  self: () => [self.isExports, self.required, self.types, self.hoisted],
};

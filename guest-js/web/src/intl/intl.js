// Intl.getCanonicalLocales (ECMA-402 §8.3.1).
import "./aliases.js";
import { canonicalizeLocaleList, defineMethods, Intl } from "./support.js";

defineMethods(Intl, {
  getCanonicalLocales(locales) {
    return canonicalizeLocaleList(locales);
  },
});

// Intl.getCanonicalLocales (ECMA-402 §8.3.1).
import { canonicalizeLocaleList, defineMethods, Intl } from "../support.js";
import "./aliases.js";

defineMethods(Intl, {
  getCanonicalLocales(locales) {
    return canonicalizeLocaleList(locales);
  },
});

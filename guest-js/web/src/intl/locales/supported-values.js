// Intl.supportedValuesOf (ECMA-402 §8.3.2).
import { registry } from "../../internal/registry.js";
import currencies from "../../vendor/intl/currencies.js";
import "../dates/time-zones.js";
import { simpleUnits } from "../numbers/number-format.js";
import { numberingSystemNames } from "../numbers/numbering.js";
import { defineMethods, Intl } from "../support.js";

const values = {
  calendar: () => ["gregory"],
  collation: () => ["emoji", "eor"],
  currency: () => currencies.split(" "),
  numberingSystem: numberingSystemNames,
  timeZone: () => registry.timeZoneNames(),
  unit: simpleUnits,
};

defineMethods(Intl, {
  supportedValuesOf(key) {
    const name = `${key}`;
    if (!Object.hasOwn(values, name)) throw new RangeError(`Invalid key : ${name.slice(0, 100)}`);
    return values[name]().sort();
  },
});

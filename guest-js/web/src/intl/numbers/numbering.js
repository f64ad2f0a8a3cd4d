// Numbering systems: the digits that numbers are written in (CLDR numberingSystems.json).
import systems from "../../vendor/intl/numbering.js";
import { lookUp } from "../support.js";

/** The digits of a numbering system: all ten, or just zero where the others follow it. */
export const digitsOf = (system) => lookUp(systems, system)?.[0];

export const isNumberingSystem = (value) => !/[\t\n]/.test(value) && lookUp(systems, value) !== undefined;

export const numberingSystemNames = () => [...systems.matchAll(/\n([^\t]+)/g)].map(([, name]) => name);

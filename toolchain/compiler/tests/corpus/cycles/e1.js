import { e2 } from "./e2.js";
import { log } from "./log.js";
export function e1(n) { return n ? "1" + e2(n - 1) : "."; }
log.push("e1 " + typeof e2);

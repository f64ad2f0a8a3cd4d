import { e1 } from "./e1.js";
import { log } from "./log.js";
export function e2(n) { return n ? "2" + e1(n - 1) : "."; }
log.push("e2 " + typeof e1);

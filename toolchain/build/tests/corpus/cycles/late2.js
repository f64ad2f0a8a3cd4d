import { log } from "./log.js";
import { base } from "./late.js";
let seen;
try { seen = base; } catch (error) { seen = error.name; }
export const value = () => seen + "/";
log.push("late2");

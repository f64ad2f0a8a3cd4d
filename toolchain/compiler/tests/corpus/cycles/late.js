import { log } from "./log.js";
import { value } from "./late2.js";
export const base = "base";
export const late = () => value() + base;
log.push("late");

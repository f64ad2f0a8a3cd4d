import { log } from "./log.js";
import { base } from "./late.js";
export const value = () => base + "/";
log.push("late2");

import { steps } from "./steps.js"; steps.push("a0"); await null; steps.push("a1"); await null; await null; await null; steps.push("a2"); export const a = "a";

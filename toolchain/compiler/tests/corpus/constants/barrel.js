export * from "./counter.js"; export { answer as renamed } from "./answer.js"; export * as inner from "./answer.js";

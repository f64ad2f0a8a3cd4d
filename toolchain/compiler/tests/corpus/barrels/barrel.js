import "./first.js";
export { Original as Renamed, default } from "./things.js";
export * from "./things.js";
export * from "./more.js";
export * as inner from "./things.js";
export const own = "the barrel's";
(globalThis.corpusBarrels ??= []).push("barrel");

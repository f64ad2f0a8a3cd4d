export * from "./more.js";
import { own } from "./barrel.js";
export const shadowed = own;

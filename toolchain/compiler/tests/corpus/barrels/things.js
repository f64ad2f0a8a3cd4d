import { mark } from "./more.js";
mark("things");
export class Original extends Error {}
export class Thing {}
export const makeThing = () => new (class extends Thing {})();
export default function () {}
export const both = "things";
export let count = 0;
export const raise = () => { count++; };

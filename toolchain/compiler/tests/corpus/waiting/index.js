// Modules that wait at their top level do so together.
import { steps } from "./steps.js";
import { a } from "./a.js";
import { b } from "./b.js";
import { data } from "./dep.js";
import { caught } from "./caught.js";
steps.push("index");
for await (const n of (async function* () { yield 1; yield 2; })()) steps.push("n" + n);
export default { steps: () => steps, values: () => [a, b, data, caught] };

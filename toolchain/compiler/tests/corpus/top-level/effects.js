globalThis.corpusEffects = [];
const push = (x) => globalThis.corpusEffects.push(x);
const unused = { get a() { push("getter"); return 1; } }.a;
const { b = push("default") } = {};
const [c] = { *[Symbol.iterator]() { push("iterated"); yield 1; } };
export const neverImported = push("export");
export default class { static { push("static block"); } }
new (class { constructor() { push("constructed"); } })();

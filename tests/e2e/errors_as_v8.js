// What errors are and say, as V8 in Node 20 has it: errors_as_v8.json is what this module's `call` gives there.
const app = { routes: {}, list: [1] };

/** The message of what is thrown. */
function said(run) {
  try {
    run();
    return "nothing";
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

const calls = {
  member: () => app.start(),
  deep: () => app.routes.home.open(),
  nested: () => app.list.foo(app.routes, 1),
  variable: () => { const handler = 1; handler(); },
  argument: () => ((callback) => callback())(),
  computed: () => { const key = "go"; app[key](); },
  literal: () => app["go"](),
  result: () => { const make = () => 1; make()(); },
  conditional: () => app.call(app.list ? 1 : 2, app.list && 3, app.none ?? 4),
  afterPattern: () => { const { routes, list: [first] } = app; app.start(routes, first); },
  inLoop: () => { for (const item of app.list) for (const key in app) app.each(item, key); },
  afterTry: () => { try { app.none.x; } catch { app.list.x = 1; } finally { app.list.y = 2; } app.start(); },
  inSwitch: () => { switch (app.list.length) { case 1: app.start(); } },
  ofThis: () => (function () { this.go(); }).call({}),
  construct: () => new app.Missing(1),
  arrow: () => { const make = () => {}; new make(); },
  callback: () => [1].map(undefined),
  generator: () => { const it = (function* () { app.start(yield); })(); it.next(); it.next(); },
};

const values = {
  read: () => { let nothing; return nothing.x; },
  readNull: () => null.x,
  set: () => { let nothing; nothing.x = 1; },
  iterator: () => { let nothing; return nothing[Symbol.iterator]; },
  early: () => { early; let early = 1; },
  undefinedName: () => nowhere,
  pattern: () => { const { a } = undefined; },
  patternOfArgument: () => (({ b }) => b)(),
  iterable: () => { const [a] = undefined; },
  number: () => [...5],
  frozen: () => { Object.freeze([1]).push(2); },
  extend: () => { "use strict"; Object.preventExtensions({}).x = 1; },
  getterOnly: () => { class Model { get name() { return ""; } } new Model().name = "x"; },
  redefine: () => Object.defineProperty(Object.freeze({ a: 1 }), "a", { value: 2 }),
  remove: () => { "use strict"; delete Object.freeze({ a: 1 }).a; },
  classCall: () => { class Model {} Model(); },
  superCall: () => { class Model extends Object { constructor() {} } new Model(); },
  parent: () => { const parent = undefined; class Model extends parent {} },
  privateMember: () => { class Model { #x; static of(it) { return it.#x; } } Model.of({}); },
  in: () => "a" in "b",
  instance: () => ({}) instanceof 5,
  bigint: () => 1n + 1,
  bigintTimes: () => 2 * 3n,
  bigintJson: () => JSON.stringify(1n),
  symbol: () => `${Symbol("a")}`,
  primitive: () => `${{ toString: 1, valueOf: 1 }}`,
  uri: () => decodeURIComponent("%"),
  uriEnd: () => decodeURI("%E4%B8"),
  uriSurrogate: () => encodeURIComponent("\ud800"),
  arrayLength: () => new Array(-1),
  repeat: () => "a".repeat(-1),
  reduce: () => [].reduce((a, b) => a),
  date: () => new Date(NaN).toISOString(),
  normalize: () => "a".normalize("x"),
  cycle: () => { const a = {}; const b = Object.create(a); a.__proto__ = b; },
  stack: () => { const deeper = () => deeper(); deeper(); },
};

const texts = [
  "", "{", "{a:1}", "[1,]", "abc", '{"a":1} x', '{"a" 1}', '"abc', '{"a":1,}', "<html>", "[1 2]", '"a\nb"', '{"a":tru}', "01", "undefined",
  "[object Object]", "[1,2,3,4,5,6,7,8,9,10,11,12,x,13,14,15,16]", '{"a":nul}', '[{"a":1},\n {"bb":x2, "cccccccccccccccc": 4}]', "ü", '{"a":1', "-", "tru",
];

function stacks() {
  const error = new TypeError("boom", { cause: 1 });
  const before = Object.getOwnPropertyNames(error);
  const { value, ...attributes } = Object.getOwnPropertyDescriptor(error, "stack");
  const logged = JSON.parse(JSON.stringify(error, Object.getOwnPropertyNames(error)));
  const changed = Object.assign(new Error("a"), { stack: "mine" });
  const deleted = new Error("a");
  delete deleted.stack;
  let thrown;
  try { null.x; } catch (it) { thrown = it; }
  const captured = {};
  Error.captureStackTrace(captured);
  return {
    before, attributes, logged: [Object.keys(logged), logged.message, logged.stack === error.stack],
    first: value.split("\n")[0], frames: value.split("\n").slice(1).every((line) => line.startsWith("    at ")),
    keys: Object.keys(new Error("a")), json: JSON.stringify(new Error("a")), spread: { ...new Error("a") },
    changed: [changed.stack, Object.keys(changed)], deleted: [deleted.stack, "stack" in deleted],
    thrown: Object.getOwnPropertyNames(thrown), aggregate: Object.getOwnPropertyNames(new AggregateError([1], "m")),
    proxy: new Proxy(error, {}).stack === error.stack, inherited: Object.hasOwn(Error.prototype, "stack"),
    frozen: Object.freeze(new Error("f")).stack.split("\n")[0], captured: Object.getOwnPropertyNames(captured), cloned: structuredClone(error).message,
  };
}

export default {
  call: () => ({
    calls: Object.fromEntries(Object.entries(calls).map(([name, run]) => [name, said(run)])),
    values: Object.fromEntries(Object.entries(values).map(([name, run]) => [name, said(run)])),
    texts: texts.map((text) => said(() => JSON.parse(text))),
    stacks: stacks(),
  }),
};

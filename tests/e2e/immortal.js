// What the build phase leaves is immortal. A handler uses and changes all kinds of it, and makes cycles through it, and says
// what it found to be wrong.

const wrong = [];
const equal = (is, shall, what) => { if (!Object.is(is, shall)) wrong.push(`${what}: ${String(is)}, not ${String(shall)}`); };

/** Makes enough garbage in circles for the collector to run. It runs after a number of blocks, which the first run lowers. */
let garbage = 500_000;
function collect() {
  for (let i = 0; i < garbage; i++) { const circle = { i, list: [i, i, i] }; circle.list.push(circle); }
  garbage = 50_000;
}

// Targets of weak references.
let alive = { name: "alive" };
const weak = new WeakRef(alive), weakMap = new WeakMap([[alive, 1]]), weakSet = new WeakSet([alive]);
const finalized = [];
const registry = new FinalizationRegistry((held) => finalized.push(held));

// Texts and numbers.
const text = ["abc", "def"].join("-"), wide = "\u4e2d" + ["a", "b"].join("\u6587"), key = ["dynamic", "key"].join("");
let rope = "";
for (let i = 0; i < 3000; i++) rope += "piece " + i + ";";
const twice = { rope: rope + rope };
const slice = "0123456789".repeat(1000).slice(10, 9000);
const big = 123456789012345678901234567890n;

// Shapes.
class Point { constructor(x, y) { this.x = x; this.y = y; } get sum() { return this.x + this.y; } }
const points = [new Point(1, 2), new Point(3, 4)];
const plain = { a: 1, b: 2, c: 3 }, other = { a: 4, b: 5, c: 6 }, dictionary = {}, less = { p: 1, q: 2, r: 3 };
for (let i = 0; i < 100; i++) dictionary["k" + i] = i;
delete less.q;
function Old(a) { this.a = a; }
Old.prototype.read = function () { return this.a; };
const bare = Object.create(null);
class Base { #own = "private"; read() { return this.#own; } write(value) { this.#own = value; } }
class Derived extends Base { read() { return "derived " + super.read(); } }
const base = new Base();
const symbol = Symbol("what it is"), registered = Symbol.for("registered"), holder = { [symbol]: 1 }, boxed = Object(Symbol("boxed"));
const circle = { name: "circle" };
circle.self = circle;
const cache = {};

// Closures, generators, async functions.
const counter = (() => { let n = 0; return { add: () => ++n, set: (value) => { n = value; }, get: () => n }; })();
const generator = (function* () { let x = 1; const next = () => x++; for (;;) if ((yield [x, next]) === "stop") return "over"; })();
generator.next();
const fresh = (function* (a, b) { yield arguments.length; yield a + b; })(1, 2);
const gate = Promise.withResolvers(), seen = [];
(async () => {
  let n = 1;
  seen.push(() => n);
  await gate.promise;
  n = 2;
  seen.push("first");
  await null;
  n = 3;
  seen.push("second");
})();
const later = new Promise((resolve) => gate.promise.then(resolve)).then((value) => value.list.length);
const asyncGenerator = (async function* () { let i = 0; for (;;) { const value = yield i++; if (value) return value; } })();
const asyncFirst = asyncGenerator.next();

// Collections and others.
const map = new Map([["a", { n: 1 }], ["b", { n: 2 }], ["c", { n: 3 }]]), set = new Set(["x", "y", symbol]), many = new Map();
for (let i = 0; i < 50; i++) many.set("n" + i, i);
const iterator = map.keys();
iterator.next();
const pattern = /(\d+)-(?<name>\w+)/g;
const bound = function (...rest) { return [this.t, ...rest].join(); }.bind({ t: "T" }, "A");
const template = () => ((strings) => strings)`the same`;
const templated = template();
const failure = new Error("made at build");

function weakReferences() {
  equal(weak.deref(), alive, "WeakRef");
  equal(weakMap.get(alive), 1, "WeakMap");
  equal(weakSet.has(alive), true, "WeakSet");
  const own = new WeakMap([[alive, 5], [plain, 6]]);
  own.set(alive, { own });
  equal(own.get(alive).own, own, "a WeakMap of the run time");
  let dead = {};
  registry.register(dead, "dead");
  weakMap.set(dead, { dead });
  return new WeakRef(dead);
}

function cycles() {
  for (let i = 0; i < 50; i++) {
    const a = { i, plain, points }, b = { a, read: () => a, alive };
    a.b = b;
    cache.last = a;
  }
  collect();
  equal(cache.last.b.read().i, 49, "what only the image holds");
  equal(cache.last.plain, plain, "what it refers to");
  delete cache.last;
  cache.own = { cache, again: { cache } };
  collect();
  equal(cache.own.again.cache, cache, "a circle through the image");
}

function texts() {
  let longer = text, wider = wide, ropes = rope;
  longer += "Q";
  longer += "R";
  wider += "z\u4e2d";
  ropes += "tail";
  equal(text, "abc-def", "text");
  equal(longer, "abc-defQR", "appended");
  equal(wide, "\u4e2da\u6587b", "wide text");
  equal(wider, "\u4e2da\u6587bz\u4e2d", "wide text, appended");
  equal(rope.length, 31890, "rope");
  equal(ropes.length, 31894, "rope, appended");
  equal(twice.rope.indexOf("piece 2999;", rope.length), 2 * rope.length - 11, "two ropes");
  equal(slice.slice(100, 8000).length, 7900, "slice of a slice");
  let sum = big;
  sum += 5n;
  sum *= 2n;
  equal(sum, 246913578024691357802469135790n, "bigint");
  equal(big, 123456789012345678901234567890n, "bigint of the image");
  const object = { [key]: 1 };
  equal(Object.keys(object)[0], key, "a key");
  delete object[key];
  equal(JSON.parse('{"dynamickey":1}')[key], 1, "a key of JSON");
  for (let i = 0; i < 2000; i++) ({})["atom" + i] = i;
  for (let i = 0; i < 2000; i++) Symbol("symbol" + i);
  equal(symbol.description + Symbol.keyFor(registered) + boxed.description, "what it isregisteredboxed", "symbols");
  equal(Symbol.for("registered"), registered, "Symbol.for");
  equal(holder[symbol], 1, "a symbol's property");
}

function shapes() {
  const point = new Point(5, 6);
  points[0].more = 1;
  equal([Object.keys(points[1]), Object.keys(new Point(1, 1)), point.sum].join(), "x,y,x,y,11", "objects of an extended one's shape");
  plain.d = 4;
  equal(Object.keys(other).join() + Object.keys({ a: 1, b: 2, c: 3 }).join(), "a,b,ca,b,c", "likewise, of literals");
  delete other.b;
  equal(Object.keys(other).join(), "a,c", "deleted");
  for (const name of ["b", "a", "c", "b"]) { delete other[name]; other[name] = name; }
  equal(Object.keys(other).join(), "a,c,b", "deleted and added");
  for (let i = 0; i < 60; i++) delete dictionary["k" + i];
  for (let i = 0; i < 30; i++) dictionary["n" + i] = i;
  equal(Object.keys(dictionary).length, 70, "many properties");
  less.s = 1;
  delete less.p;
  equal(Object.keys(less).join(), "r,s", "fewer");
  Point.prototype.times = function () { return this.x * 10; };
  equal(points[1].times(), 30, "an extended prototype");
  delete Point.prototype.times;
  equal(points[1].times, undefined, "a reduced prototype");
  Array.prototype.extended = 7;
  Object.prototype.everywhere = 8;
  equal([].extended + plain.everywhere, 15, "extended built-ins");
  delete Array.prototype.extended;
  delete Object.prototype.everywhere;
  const old = new Old(3);
  Old.prototype = { read() { return "new " + this.a; } };
  equal(new Old(1).read() + old.read(), "new 13", "another prototype");
  Object.setPrototypeOf(bare, plain);
  equal(bare.a, 1, "setPrototypeOf");
  Object.defineProperty(points[1], "x", { get: () => 42, configurable: true });
  equal(points[1].sum, 46, "defineProperty");
  base.write({ value: 1 });
  equal(base.read().value, 1, "a private field");
  equal(new Derived().read(), "derived private", "a derived class");
  equal(JSON.stringify([points[0], points[0]]), '[{"x":1,"y":2,"more":1},{"x":1,"y":2,"more":1}]', "JSON");
  for (const [depth, shall] of [[1, "TypeError"], [40, "TypeError"]]) {
    let value = circle, name = "";
    for (let i = 0; i < depth; i++) value = [value];
    try { JSON.stringify(value); } catch (error) { name = error.name; }
    equal(name, shall, "JSON of a circle");
  }
}

function collections() {
  let sum = 0;
  for (const [, value] of map) sum += value.n;
  map.forEach((value) => { sum += value.n; });
  equal(sum, 12, "entries");
  for (const name of map.keys()) if (name === "b") map.delete(name);
  equal([...map.keys()].join(), "a,c", "deleted while they are walked");
  map.set("b", { n: 2 });
  map.delete("a");
  map.set("a", { n: 1 });
  equal([...map.keys()].join(), "c,b,a", "order");
  equal([...iterator].join(), "c,b,a", "an iterator of the image");
  equal([...set].length, 3, "Set");
  for (let i = 0; i < 200; i++) many.set("m" + i, { i });
  for (const name of [...many.keys()]) many.delete(name);
  equal(many.size + [...many].length, 0, "emptied");
  equal("a 12-bc 34-de".replace(pattern, "$<name>"), "a bc de", "RegExp");
  equal(pattern.exec("7-seven").groups.name, "seven", "exec");
  equal(bound("B"), "T,A,B", "bind");
  equal(template(), templated, "template");
  equal(failure.stack.split("\n")[0], "Error: made at build", "stack");
}

async function functions() {
  counter.set({ deep: [1] });
  equal(counter.get().deep[0], 1, "closure");
  counter.set(1);
  equal(counter.add(), 2, "closure, counted");
  equal(generator.next().value[0], 1, "generator");
  const read = generator.next().value[1];
  equal(read(), 1, "its closure");
  equal(generator.next("stop").value, "over", "its end");
  collect();
  equal(read() + read(), 5, "its closure after the end");
  equal([...fresh].join(), "2,3", "one that had not begun");
  equal(seen[0](), 1, "async function");
  gate.resolve({ list: [1, 2, 3] });
  equal(await later, 3, "promise");
  collect();
  equal(seen.slice(1).join() + seen[0](), "first,second3", "async function, to its end");
  equal((await asyncFirst).value + (await asyncGenerator.next()).value, 1, "async generator");
  equal((await asyncGenerator.next("end")).value, "end", "its end");
}

export default {
  async fetch() {
    const dead = weakReferences();
    cycles();
    texts();
    shapes();
    collections();
    await functions();
    await new Promise((resolve) => setTimeout(resolve, 1));
    collect();
    await new Promise((resolve) => setTimeout(resolve, 1));
    equal(dead.deref(), undefined, "a target that is garbage");
    equal(finalized.join(), "dead", "its finalization");
    alive = null;
    collect();
    equal(weak.deref().name, "alive", "a target that the image has");
    return Response.json(wrong);
  },
};

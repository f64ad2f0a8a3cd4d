// The rest of the language: what a printer or a transformer could get wrong.
const log = [];
const say = (x) => { log.push(x); return x; };
const taken = () => log.splice(0);
function sloppyThis() { return this === undefined; }
var hoisted = typeof later;
function later() {}
outer: for (let i = 0; i < 3; i++) { for (let j = 0; j < 3; j++) { if (j === 1) continue outer; if (i === 2) break outer; say([i, j]); } }
const loops = taken();
export default {
  strict: () => sloppyThis(),
  hoisted: () => hoisted,
  loops: () => loops,
  callThis: () => { const o = { m() { return this === o; } }; return [o.m(), (0, o.m)(), (o.m)(), (true ? o.m : 0)(), (o.m || 0)(), o?.m(), (o?.m)()]; },
  directEval: () => { let x = 1; return [typeof (0, eval), x]; },
  order: () => { say("l")[say("k")] = say("r"); return taken(); },
  orderCall: () => { const o = { m: () => say("call") }; (say("o"), o)[(say("key"), "m")](say("arg")); return taken(); },
  compound: () => { let x = 1; x += (x = 5, 2); return x; },
  increments: () => { let x = 1; return [x++ + ++x, x-- - --x, - -x, + +x, - --x, typeof -x]; },
  exponent: () => [(-2) ** 2, 2 ** 3 ** 2, (2 ** 3) ** 2, 2 ** -1],
  precedence: () => [1 + 2 * 3, (1 + 2) * 3, 1 - (2 - 3), 10 / (5 / 2), (1, 2), !(1 in [0, 1]), (typeof 1) + 1, -(1 ** 2), (a => a)(3)],
  coalescing: () => [(null ?? 1) || 2, null ?? (0 || 3), (0 || null) ?? 4],
  optional: () => { const o = null; return [o?.a, o?.[say("no")], o?.a.b.c(say("no")), delete o?.a, taken()]; },
  numbers: () => [0.1 + 0.2, 1e21, 0x10, 0b11, 0o17, 1_000, .5, 5., 1e-7, -0 === 0, Object.is(-0, 0), Object.is([-0][0], -0), (25).toString(36), 1..toFixed(1), 9007199254740993],
  bigints: () => [String(2n ** 64n), String(-5n / 2n), typeof 1n, String(0xffn), String(1_0n)],
  strings: () => ["\u{1F600}".length, "\x41", "\0".length, "a\
b", "\ud83d".length, '"', "'", `\``, "</script>", "\u2028".length, "é", "\v\b\f".length],
  templates: () => [`a${1}b${`c${2}`}`, ((s, ...v) => [s, s.raw, v])`x\n${1}\u{41}`, String.raw`\u00zz`.length],
  templateIdentity: () => { const tag = (s) => s; const f = () => tag`a`; return [f() === f(), tag`a` === tag`a`]; },
  regexps: () => [/a\/b/.source, /[/]/.test("/"), /(?<y>\d+)/.exec("a12").groups.y, "aXbX".replace(/x/gi, "-"), /\u{1F600}/u.test("😀"), /./s.test("\n"), new RegExp("/").source, /(?:)/.source, 4 / 2 / 1],
  getters: () => { const o = { get x() { return say("get"); }, set x(v) { say("set" + v); } }; o.x = 1; o.x; o.x += 1; return taken(); },
  prototypes: () => { const o = { __proto__: { inherited: 1 }, ["__proto__"]: 2 }; return [o.inherited, Object.keys(o)]; },
  shorthand: () => { const a = 1; const o = { a, async: 2, get: 3, set: 4, static: 5, await: 6, of: 7, let: 8 }; return o; },
  destructuring: () => { const { a: { b = 2, ...r } = { c: 3, d: 4 }, ...rest } = { x: 1 }; const [p, , q = p, ...s] = [1, 2, undefined, 4, 5]; return [b, r, rest, p, q, s]; },
  swap: () => { let a = 1, b = 2; [a, b] = [b, a]; ({ a, b = 9 } = { a: 7 }); return [a, b]; },
  parameters: () => { const f = (a, b = a + 1, { c = b } = {}, ...d) => [a, b, c, d]; return [f(1), f(1, 2, { c: 3 }, 4, 5)]; },
  arguments: () => (function () { return [...arguments, arguments.length]; })(1, 2),
  closures: () => { const fs = []; for (let i = 0; i < 3; i++) fs.push(() => i); for (var j = 0; j < 3; j++) fs.push(() => j); for (const k of [7, 8]) fs.push(() => k); return fs.map((f) => f()); },
  shadows: () => { let x = 1; { let x = 2; say(x); } try { throw 3; } catch (x) { say(x); } say(x); return taken(); },
  varInCatch: () => { try { throw 1; } catch (e) { var e = 2; } return e; },
  switches: () => { const f = (x) => { switch (x) { case 1: say("one"); case 2: say("two"); break; default: say("other"); case 3: say("three"); } return taken(); }; return [f(1), f(2), f(3), f(4)]; },
  labels: () => { let n = 0; a: { n++; if (n) break a; n = 99; } b: do { n++; continue b; } while (n < 4); return n; },
  finals: () => { const f = () => { try { return say("try"); } finally { say("finally"); } }; const g = () => { for (;;) { try { return 1; } finally { break; } } return 2; }; return [f(), taken(), g()]; },
  generators: () => { function* g() { const x = yield 1; try { yield x; } finally { yield "f"; } return 9; } const it = g(); return [it.next(), it.next(5), it.return(7), it.next(), [...g()]]; },
  delegate: () => { function* a() { yield 1; return 2; } function* b() { const r = yield* a(); yield r; } return [...b()]; },
  async: async () => { const r = []; for await (const x of (async function* () { yield 1; yield Promise.resolve(2); })()) r.push(x); r.push(await (async () => { try { await Promise.reject(3); } catch (e) { return e; } })()); return r; },
  asyncOrder: async () => { const p = (async () => { say("in"); await null; say("after"); })(); say("sync"); await p; return taken(); },
  iterators: () => { const it = { i: 0, [Symbol.iterator]() { return this; }, next() { return { done: this.i > 2, value: this.i++ }; }, return() { say("return"); return {}; } }; for (const x of it) { if (x === 1) break; } const [a] = it; return [a, taken()]; },
  symbols: () => { const s = Symbol("d"); return [s.description, Symbol.for("a") === Symbol.for("a"), { [s]: 1 }[s], String(s)]; },
  logicalAssign: () => { let a = 0, b = 1, c = null; a ||= 2; b &&= 3; c ??= 4; const o = { get x() { say("x"); return 1; }, set x(v) { say("never"); } }; o.x ||= say("rhs"); return [a, b, c, taken()]; },
  json: () => JSON.stringify({ a: [undefined, () => 1, Symbol()], b: undefined, c: NaN, d: new Date(0), toJSON: undefined }),
  sort: () => [3, 1, 2].toSorted((a, b) => a - b).concat([1, [2, [3]]].flat(Infinity)),
  proxies: () => { const p = new Proxy({}, { get: (t, k) => say(String(k)), has: () => true, deleteProperty: () => say("del") && true }); p.a; "b" in p; delete p.c; return taken(); },
  weak: () => { const w = new WeakMap(); const k = {}; w.set(k, 1); return w.get(k); },
  comments: () => /* a */ 1 /* b */ + // c
    2,


  unicode: () => { const ünï = 1; const \u0061b = 2; return ünï + ab; },
  numericKeys: () => Object.keys({ b: 1, 2: 1, a: 1, 1: 1, "01": 1 }),
  functionText: () => (function () {}).toString().startsWith("function"),
  dateish: () => new Date(Date.UTC(2020, 1, 30)).toISOString(),
  nullish: () => [void 0, null, typeof null, typeof undefined],
  using: () => { try { return [Symbol.iterator in [], "x".at(-1)]; } finally { say("f"); taken(); } },
  groups: () => Object.fromEntries(new Map([["a", 1]])),
  atReturn: () => { let x = 0; const f = () => (x++, x); return [f(), x]; },
  newlineReturn: () => { const f = () => {
    return
    1;
  }; return f(); },
  asi: () => { let a = 1
    let b = a
    ++b
    return [a, b] },
};

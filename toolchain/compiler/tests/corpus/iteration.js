// Loops, generators and destructuring that nobody uses the results of: what they ask of an iterator is seen.
import { thrown } from "./thrown.js";
const watched = (log, values = [1, 2, 3]) => ({
  [Symbol.iterator]() {
    log.push("begin");
    let at = 0;
    return {
      next() { log.push("next"); return at < values.length ? { value: values[at++], done: false } : { value: undefined, done: true }; },
      return(value) { log.push("return"); return { value, done: true }; },
    };
  },
});
const seen = (run) => { const log = []; try { run(log); } catch (error) { log.push(`${error?.name ?? error}`); } return log; };
export default {
  emptyLoop: () => seen((log) => { for (const _ of watched(log)); }),
  broken: () => seen((log) => { for (const x of watched(log)) { if (x === 2) break; } }),
  thrownOut: () => seen((log) => { for (const _ of watched(log)) throw new RangeError(); }),
  continued: () => seen((log) => { outer: for (const x of watched(log)) { for (const y of [1, 2]) { if (y === x) continue outer; log.push(`${x}${y}`); } } }),
  returned: () => seen((log) => { (() => { for (const x of watched(log)) return x; })(); }),
  holes: () => seen((log) => { const [, , third] = watched(log); }),
  none: () => seen((log) => { const [] = watched(log); }),
  rest: () => seen((log) => { const [first, ...others] = watched(log); }),
  assigned: () => seen((log) => { let a; [a] = watched(log); }),
  nested: () => seen((log) => { const [[inner]] = [watched(log)]; }),
  parameter: () => seen((log) => { (([a]) => {})(watched(log)); }),
  spread: () => seen((log) => { [...watched(log)]; }),
  argument: () => seen((log) => { Math.max(...watched(log)); }),
  keys: () => seen((log) => { for (const key in new Proxy({ a: 1 }, { ownKeys() { log.push("keys"); return ["a"]; }, getOwnPropertyDescriptor(o, k) { log.push(`own ${k}`); return Reflect.getOwnPropertyDescriptor(o, k); } })); }),
  unstarted: () => seen((log) => { (function* () { log.push("never"); })(); }),
  started: () => seen((log) => { (function* () { try { log.push("begun"); yield; } finally { log.push("closed"); } })().next(); }),
  closed: () => seen((log) => { for (const _ of (function* () { try { yield 1; yield 2; } finally { log.push("closed"); } })()) break; }),
  delegated: () => seen((log) => { const all = (function* () { yield* watched(log, [7]); })(); all.next(); all.next(); }),
  sent: () => { const all = (function* () { const got = yield; return got; })(); all.next(); return all.next("x").value; },
  thrownIn: () => { const all = (function* () { try { yield 1; } catch (error) { yield error; } })(); all.next(); return all.throw("e").value; },
  order: () => seen((log) => { const o = { get a() { log.push("a"); return 1; }, get b() { log.push("b"); return 2; } }; const { b, a } = o; }),
  computed: () => seen((log) => { const key = { toString() { log.push("key"); return "a"; } }; const { [key]: value = log.push("default") } = {}; }),
  restKeys: () => { const { a, ...others } = { a: 1, b: 2, [Symbol.for("c")]: 3 }; return Reflect.ownKeys(others).map(String); },
  swap: () => { let a = 1, b = 2; [a, b] = [b, a]; return [a, b]; },
  closures: () => { const all = []; for (let i = 0; i < 3; i++) all.push(() => i); return all.map((f) => f()); },
  closuresOfVar: () => { const all = []; for (var i = 0; i < 3; i++) all.push(() => i); return all.map((f) => f()); },
  changedInLoop: () => { const all = []; for (let i = 0; i < 4; i++) { all.push(() => i); i++; } return all.map((f) => f()); },
  switchScope: () => { switch (1) { case 0: let x; case 1: return thrown(() => x); } },
  switchFall: () => seen((log) => { switch (2) { default: log.push("default"); case 1: log.push("one"); break; case 3: log.push("three"); } }),
  finallyWins: () => { const f = () => { try { return 1; } finally { return 2; } }; return f(); },
  finallyBreaks: () => { for (;;) { try { return 1; } finally { break; } } return 2; },
  finallyOrder: () => seen((log) => { try { try { throw 1; } finally { log.push("inner"); } } catch { log.push("caught"); } finally { log.push("outer"); } }),
  async awaited() { const log = []; const thenable = { then(done) { log.push("then"); done(1); } }; await thenable; return log; },
  async unawaited() { const log = []; (async () => { log.push("begun"); await null; log.push("later"); })(); log.push("after"); await null; await null; return log; },
  async forAwait() { const log = []; for await (const x of [Promise.resolve(1), 2]) log.push(x); return log; },
  async closedAsync() { const log = []; for await (const _ of (async function* () { try { yield 1; yield 2; } finally { log.push("closed"); } })()) break; return log; },
  async turns() { const log = []; const one = (async () => { log.push("a"); await null; log.push("b"); })(); const two = (async () => { log.push("c"); await null; log.push("d"); })(); await Promise.all([one, two]); return log; },
};

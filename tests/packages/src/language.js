// What of the language itself programs count on, and engines differ in.
const outcome = (run) => {
  try {
    return run() ?? null;
  } catch (error) {
    return error.name;
  }
};

class Own extends Error {
  name = "Own";
}
class Named extends Error {}
Named.prototype.name = "OfItsPrototype";
const first = (error) => error.stack.split("\n")[0];

const cases = {
  // ECMA-262 22.2.2.3.1: what a group has captured is forgotten in each turn.
  captures: () => [/(?:(a)|b)*/, /(?:(a)|(b))*/, /(?:(a)|b)+/, /(?:(a)|b){2}/, /(?:(a)|b)*?$/, /((a)|b)*/, /(?:(?=(a))a|b)*/, /(?:(?<n>a)|b)*/, /(?:(a)|b)+?$/].map((it) => [...it.exec("ab")]),
  nested: () => [.../(z)((a+)?(b+)?(c))*/.exec("zaacbbbcac")],
  lists: () => [.../^(?:(\d+)|(\w+)|,)*$/.exec("12,ab")],
  lookbehind: () => [.../(?<=(?:(a)|b)*)c/.exec("abc")],
  backreference: () => [.../(?:(a)|b\1)+/.exec("ab")],
  sets: () => [/[\w&&\d]/v.test("a"), "abcdef".match(/[[a-f]--[bd]]+/gv), /[\p{L}--[a-z]]/v.test("a"), /^[\q{abc|d}x]$/v.test("abc"), /[[a][b]]/v.test("b"), /^\p{RGI_Emoji}$/v.test("👨‍👩‍👧"), /^[^\d]$/v.test("5")],
  setErrors: () => ["[(]", "[a&&&b]", "[a--b&&c]", "\\p{Nothing}", "[^\\p{RGI_Emoji}]"].map((source) => outcome(() => new RegExp(source, "v").source)),
  flags: () => [/a/v.flags, /a/v.unicodeSets, outcome(() => new RegExp("a", "uv"))],
  unicode: () => [/\u212a/iu.test("k"), /ſ/iu.test("s"), /[^x]/iu.test("X"), /\p{Lu}/iu.test("a"), /ẞ/iu.test("ß")],
  splits: () => ["a1b2".split(/(\d)/), "ab".replace(/(?:(a)|b)*/, "[$1]"), "aBc".replace(/(?<x>[A-Z])/g, "<$<x>>")],
  // 26.1.1.1: what a WeakRef was made of lives to the end of the job.
  weak: () => [new WeakRef({ a: 1 }).deref().a, new Map([["k", new WeakRef([1])]]).get("k").deref()[0]],
  many: () => {
    const numbers = Array.from({ length: 70_000 }, (_, at) => at);
    const list = [];
    list.push(...new Uint8Array(70_000));
    return [Math.max(...numbers), Math.max.apply(null, numbers), list.length, Reflect.apply(Math.min, null, numbers), ((...rest) => rest.length)(...numbers), String.fromCharCode(...new Uint16Array(70_000)).length];
  },
  stacks: () => {
    const later = new Error("before");
    later.message = "after";
    const target = {};
    Error.captureStackTrace(target);
    return [
      first(new TypeError("what happened")), first(new Error("")), first(new Own("own")), first(new Named("named")), first(later), first(new AggregateError([], "all")),
      outcome(() => first(target).slice(0, 6)), first(Object.assign(new Error("x"), { name: "Changed" })), `${new Error("lost").stack}`.includes("lost"),
      (() => {
        try {
          return null.x;
        } catch (error) {
          return first(error).startsWith("TypeError: ");
        }
      })(),
      (() => {
        try {
          JSON.parse("{");
        } catch (error) {
          return first(error).startsWith("SyntaxError: ");
        }
      })(),
      new Error("lines\nof it").stack.startsWith("Error: lines\nof it\n"), typeof Object.assign(new Error("x"), { stack: "own" }).stack,
    ];
  },
  dates: () => ["2024-01-05t10:20:30z", "2024-01-05T10:20:30z", "Jan 32 2024", "2024-02-30", "Tue Mar 01 2022 00:00:00 GMT+0100", "1 Jan 2024", "2024-01-05 10:20", "Jan 5 2024 2025", "Dec 25, 1995", "2024-01-05T10:20:30,5Z", "2024-01-05T10:20:30-08", "2024-01-05T10:20:30-08:00"].map((it) => Date.parse(it)),
};

export default {
  fetch() {
    const answers = {};
    for (const [name, run] of Object.entries(cases)) answers[name] = outcome(run);
    return Response.json(answers);
  },
};

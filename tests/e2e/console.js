// Logs the same values by console.log, which is native for plain data, and by console.dirxml, which is a script's own.
let state = 1;

function below(bound) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}

const pick = (items) => items[below(items.length)];

const TEXTS = [
  "", "a", "it's", 'say "x"', "`it's \"all\"`", "back\\slash", "line\nbreak", "tab\tbell\u0007\u001b", "\u007f\u0085", "ünï", "日本語",
  "🙂🙃", "\ud83d", "\ude42", "\ufffd", "100%", "%s and %d", "x".repeat(70), "é".repeat(40), "y".repeat(700), "z".repeat(11000),
];
const KEYS = [
  "a", "b", "name", "camelCase", "with-dash", "$x_1", "", "1st", "7", "007", "4294967295", "ключ", "it's", "a b", "__proto__", "toJSON", "Upper",
  "constructor", "length", "key that is quite long",
];
const NUMBERS = [0, -0, 1, -1, 42, 2147483647, 2147483648, 1.5, -0.001, 1e21, 1e-7, 123456789012, NaN, Infinity, -Infinity];
const FORMATS = ["%s", "%d", "%i", "%f", "%j", "%o", "%O", "%c", "%%", "%", "%x", "%%s", " is ", "ü", "\n"];

class Point {
  x = 1;
}

function unusual(depth) {
  switch (below(16)) {
    case 0: return new Date(below(1e9));
    case 1: return new Map([["k", value(depth)]]);
    case 2: return new Point();
    case 3: return { get a() { return 1; } };
    case 4: return Object.assign(Object.create(null), { a: 1 });
    case 5: return [1, , 3];
    case 6: return Object.assign([1, 2], { extra: true });
    case 7: return { [Symbol("s")]: 1 };
    case 8: return { [Symbol.toStringTag]: "Tagged", a: 1 };
    case 9: return { [Symbol.for("nodejs.util.inspect.custom")]: () => "custom" };
    case 10: return { toJSON: () => "as JSON" };
    case 11: return Object.defineProperty({ a: 1 }, "hidden", { value: 2, enumerable: false });
    case 12: { const circle = { a: 1 }; circle.self = [circle]; return circle; }
    case 13: return pick([() => {}, Point, 10n, Symbol("s"), /x/g, new Error("no"), new Proxy({ a: 1 }, {})]);
    case 14: return Array.from({ length: 90 + below(20) }, (_, at) => at);
    default: { const gone = { a: 1, b: 2, c: 3 }; delete gone.b; return gone; }
  }
}

function value(depth) {
  if (depth === 0 || below(3) === 0) return pick([null, undefined, true, false, pick(NUMBERS), pick(NUMBERS), pick(TEXTS), pick(TEXTS)]);
  if (below(12) === 0) return unusual(depth - 1);
  if (below(2) === 0) return Array.from({ length: pick([0, 1, 2, 3, 7, below(3) === 0 ? 40 : 5]) }, () => value(depth - 1));
  const object = {};
  for (let left = pick([0, 1, 2, 3, 6]); left > 0; left--) {
    Object.defineProperty(object, pick(KEYS), { value: value(depth - 1), enumerable: true, writable: true, configurable: true });
  }
  return object;
}

function values() {
  const list = Array.from({ length: below(5) }, () => value(below(7)));
  if (below(2) === 0) list.unshift(Array.from({ length: below(6) }, () => pick(FORMATS)).join(""));
  return list;
}

function logTwice(...list) {
  for (const method of ["log", "dirxml"]) {
    try {
      console[method](...list);
    } catch (error) {
      console.log(`threw ${error.name}`); // %f converts objects to texts
    }
  }
}

const PLAIN = { id: 17, name: "Ada", tags: ["a", "b"], at: { line: 3, column: 14, within: { deep: [1, 2, 3] } }, none: null };

export default {
  call({ seed, times, method }) {
    if (method !== undefined) {
      for (let left = times; left > 0; left--) console[method]("%s has %d: %O", "Ada", 3, PLAIN, [PLAIN]);
      return;
    }
    state = seed;
    for (let left = times; left > 0; left--) logTwice(...values());
    // What prototypes inherit to everything is shown by the script.
    for (const [prototype, key, shown] of [
      [Object.prototype, Symbol.toStringTag, "Tagged"],
      [Object.prototype, "toJSON", () => "as JSON"],
      [Array.prototype, Symbol.for("nodejs.util.inspect.custom"), () => "custom"],
    ]) {
      Object.defineProperty(prototype, key, { value: shown, configurable: true, enumerable: false });
      logTwice(PLAIN, [1]);
      delete prototype[key];
    }
  },
};

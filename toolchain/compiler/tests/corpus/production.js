// Branches on process.env.NODE_ENV, which is production in both runs.
let n = 0;
var seen = typeof onlyInDevelopment;
if (process.env.NODE_ENV !== "production") { var onlyInDevelopment = 1; n += 100; } else n += 1;
const mode = process.env.NODE_ENV === "production" ? "p" : "d";
if (n++ < 5 && process.env.NODE_ENV === "development") n += 1000;
const o = { m() { return this === o; } };
const called = (process.env.NODE_ENV === "production" ? o.m : 0)();
const named = process.env.NODE_ENV === "production" ? function () {} : 0;
const either = process.env.NODE_ENV !== "production" || function () {};
export default {
  n: () => n,
  mode: () => mode,
  seen: () => [seen, typeof onlyInDevelopment],
  called: () => called,
  named: () => [named.name, either.name],
  own: (process = { env: { NODE_ENV: "mine" } }) => (process.env.NODE_ENV === "mine" ? "mine" : "outer"),
  nested: () => { if (process.env.NODE_ENV === "production") if ("production" !== process.env.NODE_ENV) return 1; else return 2; return 3; },
  elseIf: () => { if (process.env.NODE_ENV === "test") { return 1; } else if (process.env.NODE_ENV === "production") { return 2; } else { return 3; } },
  whole: () => { if (!(process.env.NODE_ENV === "production")) { var x = 1; for (var y of [1]); try {} catch { var z; } } return [x, y, z, typeof x]; },
  both: () => { const log = []; if (log.push("evaluated") && process.env.NODE_ENV !== "production") log.push("never"); return log; },
};

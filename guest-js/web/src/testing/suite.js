// Suites, tests and hooks of a test file, with vitest's API. They are declared during the build; each test runs in an
// instance of its own. https://vitest.dev/api/
import { formatMessage } from "../console/format.js";

const format = (...args) => formatMessage(args);

class Suite {
  tests = [];
  hooks = { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] };

  constructor(name, parent, mode) {
    this.name = name;
    this.parent = parent;
    this.mode = mode;
  }

  /** This suite and those around it, the outermost first. */
  get line() {
    return this.parent === undefined ? [this] : [...this.parent.line, this];
  }
}

const root = new Suite("", undefined, "run");
const all = [];
let current = root;
/** Whether there is an `.only`. */
let focused = false;

/** All tests in the order of their declaration, and whether each is to be run: only those with `.only`, if there are any. */
export function listTests() {
  return all.map((test, id) => {
    const modes = [...test.suite.line.map(({ mode }) => mode), test.mode];
    const chosen = !focused || modes.includes("only");
    const mode = modes.includes("skip") ? "skip" : modes.includes("todo") ? "todo" : chosen ? "run" : "skip";
    return { id, path: [...test.suite.line.slice(1).map(({ name }) => name), test.name], mode };
  });
}

export const testById = (id) => all[id];

function declareTest(name, mode, flags, options, run) {
  // Options may stand before or after the function; a number is a timeout in milliseconds.
  if (typeof options === "function") [options, run] = [run, options];
  const given = typeof options === "number" ? { timeout: options } : (options ?? {});
  const chosen = given.skip ? "skip" : given.only ? "only" : given.todo ? "todo" : mode;
  if (chosen === "only") focused = true;
  all.push({ name: nameOf(name), suite: current, mode: run === undefined && chosen === "run" ? "todo" : chosen, run, ...flags, ...given });
}

function declareSuite(name, mode, options, body) {
  if (typeof options === "function") [options, body] = [body, options];
  const chosen = options?.skip ? "skip" : options?.only ? "only" : options?.todo ? "todo" : mode;
  if (chosen === "only") focused = true;
  const suite = new Suite(nameOf(name), current, chosen);
  const outer = current;
  current = suite;
  try {
    const result = body?.();
    if (typeof result?.then === "function") {
      throw new TypeError(`the function of describe("${suite.name}") is async; declare its tests at once, and wait in beforeAll`);
    }
  } finally {
    current = outer;
  }
}

const nameOf = (name) => (typeof name === "function" ? name.name || "anonymous" : `${name}`);

/** The name of one case of `each`: printf's directives, `$key`, and `%#` for the index. */
function caseName(name, values, index) {
  const first = values[0];
  const named = nameOf(name).replaceAll(/%#|%\$|\$([\w.]+)/g, (whole, path) => {
    if (whole === "%#") return index;
    if (whole === "%$") return index + 1;
    if (typeof first !== "object" || first === null) return whole;
    const value = path.split(".").reduce((inner, key) => inner?.[key], first);
    return value === undefined && !(path in first) ? whole : typeof value === "string" ? value : format("%O", value);
  });
  const directives = named.match(/%[sdifjoO]/g)?.length ?? 0;
  return directives === 0 ? named : format(named, ...values.slice(0, directives));
}

/** The cases of a table: an array of cases, or a template whose first line names the columns. */
function casesOf(table, values) {
  if (table?.raw === undefined) return [...table];
  const columns = table[0].trim().split("|").map((column) => column.trim());
  const cases = [];
  for (let at = 0; at < values.length; at += columns.length) {
    cases.push(Object.fromEntries(columns.map((column, offset) => [column, values[at + offset]])));
  }
  return cases;
}

/** Gives `declare(name, mode, flags, ...rest)` the modifiers that chain: `it.skip.each(...)`, `describe.only`. */
function chain(declare, mode, flags) {
  const call = (name, ...rest) => declare(name, mode, flags, ...rest);
  const modes = { skip: () => ["skip", flags], only: () => ["only", flags], todo: () => ["todo", flags] };
  // Tests are run one after the other, each by itself, so these change nothing.
  for (const plain of ["concurrent", "sequential", "shuffle"]) modes[plain] = () => [mode, flags];
  modes.fails = () => [mode, { ...flags, fails: true }];
  for (const [name, next] of Object.entries(modes)) {
    Object.defineProperty(call, name, { get: () => chain(declare, ...next()), enumerable: true, configurable: true });
  }
  call.skipIf = (condition) => chain(declare, condition ? "skip" : mode, flags);
  call.runIf = (condition) => chain(declare, condition ? mode : "skip", flags);
  const over = (spread) => (table, ...values) => (name, first, second) => {
    const swap = typeof first === "function";
    const [body, options] = swap ? [first, second] : [second, first];
    casesOf(table, values).forEach((one, index) => {
      const list = Array.isArray(one) ? one : [one];
      declare(caseName(name, list, index), mode, flags, options, (context) => (spread && Array.isArray(one) ? body(...one) : body(one, context)));
    });
  };
  call.each = over(true);
  call.for = over(false);
  return call;
}

export const it = chain(declareTest, "run", {});
export const test = it;
export const describe = chain((name, mode, _, options, body) => declareSuite(name, mode, options, body), "run", {});
export const suite = describe;

const hook = (kind) => (run, timeout = undefined) => {
  current.hooks[kind].push({ run, timeout });
};
export const beforeAll = hook("beforeAll");
export const afterAll = hook("afterAll");
export const beforeEach = hook("beforeEach");
export const afterEach = hook("afterEach");

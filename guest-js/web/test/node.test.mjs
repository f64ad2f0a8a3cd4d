// The modules of Node.js against Node's own.
import "./world.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const ours = async (name) => import(new URL(`../src/node/${name}.js?world=node`, import.meta.url));

/** Calls `run` with our module and with Node's; both must give or throw the same. */
async function same(name, run) {
  const outcome = async (module) => {
    try {
      return { value: await run(module) };
    } catch (error) {
      return { name: error.name, code: error.code };
    }
  };
  const [mine, theirs] = [await outcome(await ours(name)), await outcome(await import(`node:${name}`))];
  const plain = (value) => JSON.parse(JSON.stringify(value, (_, it) => (typeof it === "bigint" ? `${it}n` : it)) ?? "null");
  assert.deepEqual(plain(mine), plain(theirs), `${name}: ${run}`);
}

test("every module has a default export with its names on it", async () => {
  for (const name of ["assert", "buffer", "events", "http", "path", "process", "querystring", "stream", "timers", "url", "util", "zlib"]) {
    const module = await ours(name).catch((error) => (error.code === "ERR_MODULE_NOT_FOUND" ? undefined : Promise.reject(error)));
    if (module === undefined) continue; // not here yet
    assert.ok(module.default !== undefined, name);
    for (const key of Object.keys(module)) if (key !== "default") assert.equal(module.default[key], module[key], `${name}.${key}`);
  }
});

test("path, querystring, punycode, string_decoder", async () => {
  await same("path", ({ join, resolve, relative, parse, format, extname, normalize }) => [
    join("/a", "..", "b", "./c"), resolve("/a/b", "../c"), relative("/a/b/c", "/a/d"), parse("/x/y.tar.gz"),
    format({ dir: "/a", base: "b.c" }), extname(".profile"), normalize("/a//b/../c/."),
  ]);
  await same("querystring", ({ parse, stringify, escape, unescape }) => [
    { ...parse("a=1&a=2&b=%20x+y&c") }, stringify({ a: [1, 2], b: "x y", c: true, d: null }), escape("ü &"), unescape("%C3%BC"),
  ]);
  await same("punycode", ({ toASCII, toUnicode, ucs2 }) => [toASCII("mañana.com"), toUnicode("xn--maana-pta.com"), ucs2.decode("a😀")]);
  await same("string_decoder", ({ StringDecoder }) => {
    const decoder = new StringDecoder("utf8");
    return [decoder.write(Buffer.from([0xe2, 0x82])), decoder.write(Buffer.from([0xac])), decoder.end(Buffer.from([0xe2]))];
  });
});

test("path.win32: names that browsers send, servers and drives", async () => {
  const paths = [
    "C:\\fakepath\\x.jpg", "C:/a/b.c", "a\\b/c.txt", "\\\\server\\share\\f", "\\\\server\\share\\", "//s/h/x", "C:",
    "C:\\", "C:a", "\\a\\b",
    "a", "", "..", "..\\..\\a", ".\\a\\.\\b\\..", "C:\\a\\..\\..\\b", "a\\\\b\\\\", ".a", "a.b.", "..a", "/",
    "C:\\x\\.y\\", "a:b", "x:stream",
  ];
  await same("path", ({ win32 }) => {
    const { basename, dirname, extname, format, isAbsolute, normalize, parse } = win32;
    const each = paths.map((it) => [
      normalize(it), isAbsolute(it), dirname(it), basename(it), basename(it, ".jpg"), extname(it), parse(it),
      format(parse(it)),
    ]);
    const drives = paths.filter((it) => /^[A-Z]:[\\/]/.test(it));
    const pairs = paths.flatMap((a) => paths.map((b) => win32.join(a, b)));
    const resolved = drives.flatMap((a) => drives.map((b) => [win32.resolve(a, "x", b), win32.relative(a, b)]));
    return [
      each, pairs, resolved, win32.sep, win32.delimiter, win32.toNamespacedPath("C:\\a"), win32.posix.join("a", "b"),
    ];
  });
  // Names come from strangers: a time that grows with the square of the length would not end.
  const { win32 } = await ours("path");
  const long = "a".repeat(1_000_000);
  assert.equal(win32.basename(`${long}/b`), "b");
  assert.equal(win32.dirname(`a${"/".repeat(1_000_000)}b`).length, 1_000_000);
  assert.equal(win32.parse(`a${"/".repeat(1_000_000)}b`).base, "b");
});

test("url", async () => {
  await same("url", ({ parse, resolve, format, fileURLToPath, pathToFileURL, urlToHttpOptions }) => [
    { ...parse("http://a:b@host:80/p/a?q=1&q=2#h", true), query: undefined }, resolve("http://a/b/c", "../d?e"),
    format({ protocol: "https", host: "x.test", pathname: "/a b", query: { c: 1 } }), fileURLToPath("file:///a%20b"),
    pathToFileURL("/a b").href, urlToHttpOptions(new URL("https://u:p@h:8/x?y")).path,
  ]);
});

test("buffer", async () => {
  for (const run of [
    (B) => ["utf8", "hex", "base64", "base64url", "latin1", "ascii", "utf16le"].map((it) => B.from("Grüße €😀").toString(it)),
    (B) => ["hex", "base64", "base64url", "latin1", "utf16le"].map((it) => [...B.from("4af_-Z", it)]),
    (B) => B.concat([B.from("a"), B.from([0x62, 0x63])]).toString(),
    (B) => [B.byteLength("ü€"), B.byteLength("abcd", "base64"), B.isEncoding("base64url"), B.isEncoding("x"), B.isBuffer(new Uint8Array(1))],
    (B) => B.from("abc").equals(B.from("abc")) && B.compare(B.from("a"), B.from("b")),
    (B) => {
      const it = B.alloc(16);
      it.writeUInt32BE(0xdeadbeef, 0);
      it.writeDoubleLE(1.5, 4);
      it.writeInt16LE(-2, 12);
      return [it.toString("hex"), it.readUint32BE(0), it.readDoubleLE(4), it.readInt16LE(12), it.readBigUInt64LE(4)];
    },
    (B) => [B.from("hello").indexOf("l"), B.from("hello").includes("ell"), B.from("hello").slice(1, 3).toString(), B.from("hello").subarray(-2).toString()],
    (B) => JSON.stringify(B.from("hi")),
    (B) => [B.from("abc").write("xyz", 1), B.from("a-b").toString("utf8", 1, 2), B.alloc(3, "ab").toString(), B.from("abc").fill(0x41).toString()],
    (B) => B.from("x", "nonsense"),
    (B) => B.from(5),
    (B) => [...B.from([1, 2, 3, 4]).swap16()],
    (B) => B.from(new Uint8Array([1, 2, 3]).buffer, 1, 2).toString("hex"),
    (B) => B.from("\ud800x").toString("hex"),
  ]) {
    await same("buffer", ({ Buffer }) => run(Buffer));
  }
});

test("util", async () => {
  await same("util", ({ format }) => [format("%s %d %i %j %%", "a", 1.5, "42px", { b: 1 }), format("a", 1, { x: [1] }), format("%s", null)]);
  await same("util", ({ inspect }) => [inspect({ a: { b: { c: { d: 1 } } } }), inspect({ a: { b: { c: { d: 1 } } } }, { depth: 0 }), inspect(new Map([[1, "a"]]))]);
  await same("util", ({ promisify }) => promisify((a, b, done) => done(null, a + b))(1, 2));
  await same("util", ({ promisify }) => promisify((done) => done(Object.assign(new Error("x"), { code: "E" })))());
  await same("util", ({ promisify }) => promisify("x"));
  await same("util", ({ callbackify }) => new Promise((resolve) => callbackify(async (a) => a * 2)(4, (error, value) => resolve([error, value]))));
  await same("util", ({ inherits }) => {
    function A() {}
    function B() {}
    inherits(A, B);
    return [new A() instanceof B, A.super_ === B];
  });
  await same("util", ({ isDeepStrictEqual: eq }) => [
    eq({ a: [1, new Date(0)] }, { a: [1, new Date(0)] }), eq([1], ["1"]), eq(new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])), eq(0, -0),
    eq(new Map([["a", 1]]), new Map([["a", 2]])), eq(NaN, NaN), eq({ a: undefined }, {}), eq(new Uint8Array([1]), new Uint8Array([1])),
  ]);
  await same("util", ({ types }) =>
    [new Date(), /x/, new Map(), new Set(), Promise.resolve(), new Uint8Array(), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), async () => {}, function* () {}, Object(1), new Error()].map(
      (value) => Object.keys(types).filter((name) => !/External|Proxy|Key/.test(name) && types[name](value)).sort(),
    ));
  await same("util", ({ stripVTControlCharacters, styleText }) => [stripVTControlCharacters("\u001b[31ma\u001b[39m"), styleText(["red", "bold"], "x")]);
});

test("events", async () => {
  await same("events", ({ EventEmitter }) => {
    const seen = [];
    const emitter = new EventEmitter();
    emitter.on("a", (...args) => seen.push(args)).once("a", () => seen.push("once")).prependListener("a", () => seen.push("first"));
    return [emitter.emit("a", 1, 2), emitter.emit("a"), emitter.emit("b"), seen, emitter.listenerCount("a"), emitter.eventNames()];
  });
  await same("events", ({ EventEmitter }) => new EventEmitter().emit("error", Object.assign(new Error("x"), { code: "E" })));
  await same("events", ({ EventEmitter, errorMonitor }) => {
    const seen = [];
    const emitter = new EventEmitter().on(errorMonitor, (error) => seen.push(error.message)).on("error", () => seen.push("handled"));
    emitter.emit("error", new Error("x"));
    return seen;
  });
  await same("events", async ({ EventEmitter, once }) => {
    const emitter = new EventEmitter();
    queueMicrotask(() => emitter.emit("a", 1, 2));
    return once(emitter, "a");
  });
  await same("events", ({ EventEmitter, once }) => once(new EventEmitter(), "a", { signal: AbortSignal.abort() }));
  await same("events", async ({ EventEmitter, on }) => {
    const emitter = new EventEmitter();
    queueMicrotask(() => [1, 2, 3].forEach((it) => emitter.emit("a", it)));
    const seen = [];
    for await (const [it] of on(emitter, "a")) if (seen.push(it) === 3) break;
    return [seen, emitter.listenerCount("a")];
  });
  await same("events", (EventEmitter) => {
    function Old() {
      EventEmitter.default.call(this);
    }
    Object.setPrototypeOf(Old.prototype, EventEmitter.default.prototype);
    return new Old().on("x", () => {}).emit("x");
  });
});

test("assert", async () => {
  const failing = [
    (it) => it(0), (it) => it.equal(1, 2), (it) => it.strictEqual(1, "1"), (it) => it.deepEqual({ a: 1 }, { a: 2 }), (it) => it.throws(() => {}),
    (it) => it.deepStrictEqual([1], ["1"]), (it) => it.match("a", /b/), (it) => it.rejects(async () => 1), (it) => it.ifError(new Error("x")), (it) => it.fail("m"),
    (it) => it.doesNotThrow(() => { throw new Error("x"); }), (it) => it.notEqual(1, "1"), (it) => it.throws(() => { throw new TypeError("x"); }, RangeError),
  ];
  const holding = [
    (it) => it.equal(1, "1"), (it) => it.deepEqual({ a: [1] }, { a: ["1"] }), (it) => it.throws(() => { throw new TypeError("x"); }, { name: "TypeError", message: /x/ }),
    (it) => it.rejects(Promise.reject(new Error("x")), /x/), (it) => it.strict.equal(1, 1), (it) => it.notDeepStrictEqual([1], ["1"]),
  ];
  for (const run of [...failing, ...holding]) await same("assert", (module) => run(module.default));
});

test("assert: messages and fields of its errors", async () => {
  class Own extends Error {}
  const failing = [
    (it) => it.strictEqual("a\nb", 2),
    (it) => it.equal(1, 2),
    (it) => it.notStrictEqual(NaN, NaN),
    (it) => it.match("abc", /x/),
    (it) => it.fail(),
    (it) => it.ifError(new Own("unwanted")),
    (it) => it.throws(() => {}),
    (it) => it.throws(() => { throw new Own("abc"); }, /xyz/),
    (it) => it.throws(() => { throw new Own("abc"); }, TypeError),
    (it) => it.throws(() => { throw 5; }, RangeError),
    (it) => it.throws(() => { throw new Own("abc"); }, (error) => error.message === "other"),
    (it) => it.throws(() => { throw new Own("abc"); }, function checks() { return "yes"; }),
    (it) => it.doesNotThrow(() => { throw new Own("abc"); }, "why"),
    (it) => { throw new it.AssertionError({ actual: 1, expected: 2, operator: "strictEqual" }); },
    (it) => { throw new it.AssertionError({ message: "given" }); },
  ];
  for (const run of failing) {
    await same("assert", ({ default: it }) => {
      try {
        run(it);
      } catch (error) {
        const { message, generatedMessage, operator, code } = error;
        return [message, generatedMessage, operator, code, Object.keys(error), error.constructor.name];
      }
    });
  }
});

test("assert: how values differ", async () => {
  const numbers = (count, changes = {}) => Object.assign(Array.from({ length: count }, (_, at) => at), changes);
  const lines = (count, changes) => numbers(count, changes).join("\n");
  const own = (message, more) => Object.assign(new RangeError(message), more);
  const pairs = [
    [1, 2], [1, "1"], [0, -0], ["abcdefgh", "abcdefgi"], ["abcdefghijkl", "abc"], ["x".repeat(50), "y".repeat(50)],
    [null, undefined], ["", "a"], [{}, []],
    [{ a: 1 }, { a: 2 }], [{ a: 1, b: [1, 2, { c: 3 }] }, { b: [1, 2, { c: 4 }], a: 1 }], [[1, 2, 3], [1, 2, 3, 4]],
    [[1, 2, 3, 4], [1, 2]], [{}, {}],
    [{ a: { b: 1 } }, { a: { b: 1 } }], [numbers(20), numbers(20, { 10: "x" })], [numbers(20, { 3: "x" }), numbers(20)],
    [numbers(80, { 1: 1.5 }), numbers(80)],
    [numbers(20, { 2: 0, 8: 0 }), numbers(20)], [numbers(20, { 2: 0, 7: 0 }), numbers(20)],
    [numbers(20, { 2: 0, 9: 0, 18: 0 }), numbers(22)],
    [numbers(100), numbers(100).map((it) => it + 0.5)], [numbers(3), numbers(70)], [numbers(70), numbers(3)],
    [lines(20), lines(20, { 5: "x" })],
    [() => {}, () => {}], [Symbol("a"), Symbol("a")], [new Map([[1, { a: 1 }]]), new Map([[1, { a: 2 }]])],
    [new Set([1]), new Set([2])],
    [new Date(0), new Date(1)], [/a/, /b/], [own("a"), own("b")], [own("a", { code: 1 }), own("a", { code: 2 })],
    [own("a"), { message: "a" }], [1n, 1],
    [NaN, 5], [{ a: undefined }, {}], [[1, , 3], [1, undefined, 3]], ["a\nb", "a\nc"], [{ b: 1, a: 1 }, { a: 1, c: 1 }],
    [[[[[[1]]]]], [[[[[2]]]]]],
  ];
  const positive = ["strictEqual", "deepStrictEqual", "deepEqual", "equal"];
  const operators = [...positive, "notStrictEqual", "notDeepStrictEqual", "notDeepEqual", "notEqual"];
  const said = (it, run) => {
    try {
      run(it);
    } catch (error) {
      return [error.message, error.generatedMessage, error.operator];
    }
  };
  const [{ default: mine }, { default: theirs }] = [await ours("assert"), await import("node:assert")];
  const compare = (run, what) => assert.deepEqual(said(mine, run), said(theirs, run), what);
  for (const [at, [a, b]] of pairs.entries()) {
    for (const operator of operators) {
      for (const [actual, expected] of [[a, b], [b, a], [a, a]]) {
        compare((it) => it[operator](actual, expected), `${operator} ${at}`);
      }
    }
  }
  for (const expected of [
    { message: "b" }, { message: /x/ }, { message: /a/, code: 5 }, { code: "E", name: "Error" }, { nothing: 1 },
    new RangeError("b"), { message: "ab", code: [1] },
  ]) {
    for (const message of [undefined, "why"]) {
      compare((it) => it.throws(() => { throw own("ab", { code: "E" }); }, expected, message), "throws");
    }
  }
});

test("SHA-3 and SHAKE", async () => {
  const { KECCAK_NAMES, keccak, keccakNamed } = await import(new URL("../src/node/crypto/keccak.js", import.meta.url));
  const { createHash } = await import("node:crypto");
  for (const name of KECCAK_NAMES) {
    const known = keccakNamed(name.toUpperCase());
    for (const size of [0, 1, 71, 72, 103, 104, 135, 136, 137, 143, 144, 167, 168, 169, 400, 1000]) {
      const data = Uint8Array.from({ length: size }, (_, at) => at * 7 + size);
      for (const outputLength of known.isExtendable ? [undefined, 1, 64, 135, 136, 137, 168, 169, 500] : [undefined]) {
        const theirs = createHash(name, { outputLength }).update(data).digest("hex");
        const hex = Buffer.from(keccak(known, data, outputLength)).toString("hex");
        assert.equal(hex, theirs, `${name} ${size} ${outputLength}`);
      }
    }
  }
  assert.deepEqual(["shake", "sha256", "__proto__"].map(keccakNamed), [undefined, undefined, undefined]);
});

test("errors that nobody listens to, and values that only look like errors", async () => {
  await same("events", async (it) => {
    const emitted = [{ a: 1 }, undefined, null, Symbol("s"), [1]].map((value) => {
      try {
        new it.EventEmitter().emit("error", value);
      } catch (error) {
        return [error.message, error.code, error.context === value];
      }
    });
    const aborted = it.once(new it.EventEmitter(), "x", { signal: originals.AbortSignal.abort() });
    return [emitted, await aborted.catch((error) => error.constructor.name)];
  });
  await same("util", ({ types }) => [
    { __proto__: Error.prototype }, new (class extends TypeError {})(), { name: "Error", message: "m" }, null, 5,
  ].map(types.isNativeError));
});

test("stream", async () => {
  await same("stream", async ({ Readable, Transform, Writable, pipeline, promises }) => {
    const seen = [];
    const upper = new Transform({ transform: (chunk, _, done) => done(null, chunk.toString().toUpperCase()) });
    const sink = new Writable({ write: (chunk, _, done) => done(void seen.push(chunk.toString())) });
    await promises.pipeline(Readable.from(["a", "b"]), upper, sink);
    return [seen, typeof pipeline];
  });
  await same("stream", async ({ Readable }) => (await Readable.from([1, 2, 3]).filter((n) => n > 1).map((n) => n * 2).toArray()));
  await same("stream", async ({ Readable, promises }) => promises.finished(Readable.from([1]).destroy(Object.assign(new Error("x"), { code: "E" }))));
});

test("stream: what chunks may be, and messages of what may not", async () => {
  const failed = (stream) =>
    new Promise((resolve) => stream.on("error", ({ name, code, message }) => resolve([name, code, message])));
  await same("stream", async ({ Readable, Writable }) => {
    const seen = [];
    const sink = new Writable({ write: (chunk, _, done) => done(void seen.push([...chunk])) });
    const chunks = ["a", new Uint8Array([1]), new Uint16Array([2, 3]), new DataView(new ArrayBuffer(2))];
    for (const chunk of chunks) sink.write(chunk);
    const source = new Readable({ read() {} });
    source.push(new Uint16Array([4]));
    return [seen, [...source.read()]];
  });
  for (const value of [5, {}, null, [1]]) {
    for (const run of [
      ({ Writable }) => new Writable({ write() {} }).write(value),
      ({ Readable }) => Readable.fromWeb(value),
      ({ Writable }) => Writable.fromWeb(value),
      ({ Readable }) => (Array.isArray(value) ? undefined : Readable.toWeb(value)),
      ({ pipeline }) => pipeline(),
    ]) {
      await sameMessage("stream", (it) => void run(it));
    }
    if (value === null) continue;
    await same("stream", ({ Readable }) => {
      const source = new Readable({ read() {} });
      const failure = failed(source);
      source.push(value);
      return failure;
    });
  }
});

test("async_hooks, within calls", async () => {
  await same("async_hooks", ({ AsyncLocalStorage, AsyncResource }) => {
    const [a, b] = [new AsyncLocalStorage(), new AsyncLocalStorage()];
    return a.run(1, () => b.run(2, () => {
      const resource = new AsyncResource("x");
      const snapshot = AsyncLocalStorage.snapshot();
      return [a.getStore(), a.exit(() => a.getStore() ?? "none"), a.run(3, () => [a.getStore(), b.getStore(), resource.runInAsyncScope(() => a.getStore()), snapshot(() => a.getStore())])];
    }));
  });
});

test("process", async () => {
  const { default: process } = await ours("process");
  assert.equal(process.env.NOTHING, undefined);
  process.env.X = 1;
  assert.deepEqual([process.env.X, "X" in process.env, delete process.env.X, process.env.X], ["1", true, true, undefined]);
  assert.throws(() => process.exit(1), { code: "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM" });
  assert.equal(typeof process.hrtime.bigint(), "bigint");
  assert.equal(Object.prototype.toString.call(process), "[object process]");
});

test("util.parseArgs: values, positionals and tokens, and what it refuses", async () => {
  const options = {
    flag: { type: "boolean", short: "f" }, name: { type: "string", short: "n" },
    list: { type: "string", short: "l", multiple: true },
    quiet: { type: "boolean", short: "q", default: true }, "no-color": { type: "boolean" },
  };
  const lines = [
    "", "-f", "--flag", "--flag=x", "-n", "-n a", "-na", "-n=a", "--name a", "--name=a", "--name", "--name=",
    "--name -x", "--name=-x", "-fn a", "-fna",
    "-fq", "-nf", "-l a -l b", "--list=a --list b -lc", "a b", "-- a -f", "a -- b --", "--unknown", "-x", "-fx", "-",
    "--no-flag", "--no-quiet",
    "--no-color", "--no-name", "-f a -fqn b c --list d -- e", "--__proto__", "--flag a", "-n -f", "--=", "---", "-f=1",
  ].map((line) => (line === "" ? [] : line.split(" ")));
  const settings = [
    {}, { tokens: true }, { allowPositionals: true, tokens: true }, { strict: false, tokens: true },
    { allowNegative: true, allowPositionals: true },
  ];
  for (const args of lines) {
    for (const setting of settings) {
      const said = ({ parseArgs }) => {
        try {
          return parseArgs({ args, options, ...setting });
        } catch ({ name, code, message }) {
          return { name, code, message };
        }
      };
      assert.deepEqual(said(await ours("util")), said(await import("node:util")), `${args} ${JSON.stringify(setting)}`);
    }
  }
  for (const config of [
    { args: 1 }, { strict: 1 }, { options: 1 }, { options: { a: {} } }, { options: { a: 1 } },
    { options: { a: { type: "string", short: "ab" } } },
    { options: { a: { type: "string", short: 1 } } }, { options: { a: { type: "string", multiple: 1 } } },
    { options: { a: { type: "string", default: 1 } } },
    { options: { a: { type: "boolean", multiple: true, default: true } } },
    { options: { a: { type: "string", multiple: true, default: [1] } } }, { tokens: 1 },
  ]) {
    await sameMessage("util", ({ parseArgs }) => parseArgs(config));
  }
});

/** As `same`, and the messages are Node's too. */
async function sameMessage(name, run) {
  const said = (module) => {
    try {
      return run(module);
    } catch ({ name, code, message }) {
      return { name, code, message };
    }
  };
  assert.deepEqual(said(await ours(name)), said(await import(`node:${name}`)), `${name}: ${run}`);
}

test("default options of util.inspect", async () => {
  const { default: native } = await import("./native.mjs?world=node");
  let isScripted = false;
  native.logScripted = () => (isScripted = true);
  const deep = { a: { b: { c: { d: { e: ["x"] } } } } };
  const { inspect } = await ours("util");
  for (const [changed, restored] of [[{ depth: null }, { depth: 2 }], [{ colors: true }, { colors: false }]]) {
    await same("util", (util) => {
      util.inspect.defaultOptions = changed;
      const shown = [util.inspect(deep), util.format("%O", deep), util.inspect.defaultOptions];
      util.inspect.defaultOptions = restored;
      return shown;
    });
  }
  assert.equal(isScripted, true); // the natives of the console have the defaults only
  isScripted = false;
  assert.equal(inspect.defaultOptions.depth, 2);
  assert.equal(isScripted, true);
});

test("util.MIMEType and MIMEParams", async () => {
  for (const input of [
    "text/html", " Text/HTML ; Charset=UTF-8", "a/b;x=1;X=2;y=\"q\\\"z\";z", "a/b;x", "a/b;=1;x=1", 'a/b;x="a',
    'a/b;x="a\\', "a/b; x = 1;y=2 ", 'a/b;x="";y=1', "a/b;;x=1;",
    'a/b;x="1"z;y=2', "a/b;x y=1;z=3", "a/b;x=\u0100;y=\u00ff", "nope", "/b", "a/", "a b/c", "a/b c", "", "a/b/c",
    'a/b;x="1;2";y=3', "a/b;x=1 2",
  ]) {
    await sameMessage("util", ({ MIMEType }) => {
      const type = new MIMEType(input);
      const { params } = type;
      return [
        `${type}`, JSON.stringify(type), type.type, type.subtype, type.essence, [...params], [...params.keys()],
        params.get("X"),
      ];
    });
  }
  await sameMessage("util", ({ MIMEType }) => {
    const type = new MIMEType("a/b");
    type.type = "C";
    type.subtype = "d+E";
    type.params.set("x", "y z");
    type.params.set("k", "");
    type.params.set("g", 1);
    type.params.delete("g");
    return [`${type}`, `${type.params}`, type.params.has("g"), [...type.params.values()], type.params.get("g")];
  });
  for (const change of [
    (type) => (type.type = "x y"), (type) => (type.subtype = ""), (type) => type.params.set("a b", "c"),
    (type) => type.params.set("", "c"),
    (type) => type.params.set("a", "\u0100"),
  ]) {
    await sameMessage("util", ({ MIMEType }) => change(new MIMEType("a/b")));
  }
  // Types come from strangers: a time that grows with the square of the length would not end.
  const { MIMEType } = await ours("util");
  const spaces = " ".repeat(1_000_000);
  assert.throws(() => new MIMEType(`a/b${spaces}c`), { code: "ERR_INVALID_MIME_SYNTAX" });
  assert.equal(new MIMEType(`a/b;x=1${spaces}2`).params.get("x"), `1${spaces}2`);
});

test("util.getSystemErrorName and getSystemErrorMap", async () => {
  await sameMessage("util", ({ getSystemErrorMap }) => [...getSystemErrorMap()]);
  for (const number of [-2, -9999, 1, 0, 1.5, "x", undefined]) {
    await sameMessage("util", ({ getSystemErrorName }) => getSystemErrorName(number));
  }
});

test("module: the names are Node's, whether the module is here or not", async () => {
  const names = ["fs", "node:fs", "fs/promises", "test", "node:test", "path", "node:path/win32"];
  for (const name of [...names, "express", "node:nothing", "", "node:sea"]) {
    await same("module", ({ isBuiltin }) => isBuiltin(name));
  }
  await same("module", ({ builtinModules }) => builtinModules.filter((name) => !name.startsWith("_")));
});

test("timers: objects know whether they keep a program", async () => {
  await same("timers", ({ setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate }) => {
    const timers = [setTimeout(() => {}, 1e6), setInterval(() => {}, 1e6), setImmediate(() => {})];
    const said = timers.map((timer) => [timer.hasRef(), timer.unref() === timer, timer.hasRef(), timer.ref().hasRef()]);
    clearTimeout(timers[0]);
    clearInterval(timers[1]);
    clearImmediate(timers[2]);
    return said;
  });
});

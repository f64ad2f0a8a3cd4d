// Each case throws if a value does not come back, or does not reach the host, as it should.
import { deepStrictEqual as same, strictEqual as is, ok, throws } from "node:assert";
import * as v from "example:echo/values";

const back = (echo, ...values) => values.forEach((value) => same(echo(value), value));

const sixteen = {
  a: 255, b: -128, c: 65535, d: -32768, e: 4294967295, f: -2147483648, g: 2n ** 64n - 1n, h: -(2n ** 63n),
  i: 1.5, j: 0.1, k: true, l: "😀", m: "sixteen", n: 1, o: 2,
};
const seventeen = { ...sixteen, n: "one more" };
const deep = {
  name: "Zürich",
  minZoom: 3,
  shapes: [{ tag: "empty" }, { tag: "circle", val: 1.25 }, { tag: "at", val: { x: 1, y: -2 } }, { tag: "many", val: ["a", ""] }],
  byColour: [["dark-green", undefined], ["blue", { x: 0, y: 3 }]],
  outcome: { tag: "ok", val: [1, 65535] },
  flagsOfIt: { a: false, secondOne: true, c: false },
};

const cases = {
  scalars() {
    back(v.echoBool, true, false);
    back(v.echoU8, 0, 1, 255);
    back(v.echoS8, -128, -1, 0, 127);
    back(v.echoU16, 0, 65535);
    back(v.echoS16, -32768, -1, 32767);
    back(v.echoU32, 0, 2147483648, 4294967295);
    back(v.echoS32, -2147483648, -1, 2147483647);
    back(v.echoF32, 0, -0, 1.5, -3.25, Infinity, -Infinity, NaN);
    back(v.echoF64, 0, -0, 0.1, 1e308, 5e-324, Infinity, NaN);
    is(v.echoF32(0.1), Math.fround(0.1));
    back(v.echoChar, "a", "é", "😀", "\0", "\uffff");
    is(v.nothing(), undefined);
    same([v.showS8(-128), v.showS16(-2), v.showF32(1.5)], ["-128", "-2", "1.5"]);
  },
  longs() {
    back(v.echoU64, 0n, 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n);
    back(v.echoS64, -(2n ** 63n), -1n, 0n, 2n ** 63n - 1n);
    // Numbers that are exact will do.
    is(v.echoU64(9007199254740991), 9007199254740991n);
    is(v.echoS64(-5), -5n);
    is(v.showU64(2n ** 64n - 1n), "18446744073709551615");
  },
  texts() {
    back(v.echoString, "", "a", "Zürich, 東京, 😀", "\0", "x".repeat(100_000), "\ud83d\ude00");
    for (const [lone, wanted] of [["\ud83d", "\ufffd"], ["a\ude00b", "a\ufffdb"], ["\ude00\ud83d", "\ufffd\ufffd"]]) {
      is(v.echoString(lone), wanted);
      is(v.echoChar(lone[0] === "a" ? "\ude00" : lone[0]), "\ufffd");
    }
    is(v.showString("\ud83d!"), '"\ufffd!"');
    back(v.echoTexts, [], [""], ["a", "", "é".repeat(1000)], Array.from({ length: 5000 }, (_, at) => `text ${at}`));
  },
  lists() {
    back(v.echoBytes, new Uint8Array(), Uint8Array.of(0, 1, 255), new Uint8Array(10_000).fill(7));
    const large = v.echoBytes(new Uint8Array(5_000_000).fill(7));
    same([large.length, large.indexOf(0), large.lastIndexOf(7)], [5_000_000, -1, 4_999_999]);
    same(v.echoBytes(Uint8Array.of(9, 8, 7, 6).subarray(1, 3)), Uint8Array.of(8, 7));
    same(v.echoBytes([1, 2, 255]), Uint8Array.of(1, 2, 255));
    same(v.echoBytes(Uint8Array.of(1, 2).buffer), Uint8Array.of(1, 2));
    same(v.echoBytes(Buffer.from("hé")), Uint8Array.of(104, 195, 169));
    back(v.echoNumbers, [], [1], [4294967295, 0], Array.from({ length: 20_000 }, (_, at) => at * 7));
    same(v.echoNumbers(Uint16Array.of(1, 65535)), [1, 65535]);
    back(v.echoLongs, [], [-(2n ** 63n), 2n ** 63n - 1n]);
    same(v.echoLongs(BigInt64Array.of(-1n)), [-1n]);
    back(v.echoNested, [], [[]], [[new Uint8Array()], [], [Uint8Array.of(1), Uint8Array.of(2, 3)]]);
  },
  options() {
    back(v.echoOption, undefined, "", "text");
    is(v.echoOption(null), undefined);
    is(v.echoOption(), undefined);
    back(v.echoOption2, { tag: "none" }, { tag: "some", val: undefined }, { tag: "some", val: 0 });
    back(v.echoOption3, undefined, { tag: "none" }, { tag: "some", val: undefined }, { tag: "some", val: "x" });
    is(v.showOption3(undefined), "None");
    is(v.showOption3({ tag: "none" }), "Some(None)");
    is(v.showOption3({ tag: "some", val: undefined }), "Some(Some(None))");
  },
  compounds() {
    back(v.echoPair, [1, "a", undefined], [255, "", -(2n ** 63n)]);
    back(v.echoResults, [], [{ tag: "ok", val: 1 }, { tag: "err", val: "no" }, { tag: "ok", val: 4294967295 }]);
    back(v.echoPoint, { x: 1, y: -0.5 });
    back(v.echoColour, "red", "dark-green", "blue");
    back(v.echoShape, ...deep.shapes, { tag: "named-one", val: "é" }, { tag: "many", val: [] });
    back(v.echoMixed, { tag: "byte", val: 255 }, { tag: "single", val: -1.5 }, { tag: "long", val: -(2n ** 63n) },
      { tag: "double", val: 0.1 }, { tag: "text", val: "long enough" }, { tag: "none" });
    is(v.showMixed({ tag: "single", val: -1.5 }), "Single(-1.5)");
    is(v.showMixed({ tag: "text", val: "é" }), 'Text("é")');
    back(v.echoDeep, deep, { ...deep, minZoom: undefined, shapes: [], outcome: { tag: "err", val: "why" } });
    is(v.showDeep(deep), 'Deep { name: "Zürich", min_zoom: Some(3), shapes: [Empty, Circle(1.25), At(Point { x: 1.0, y: -2.0 }), '
      + 'Many(["a", ""])], by_colour: [(DarkGreen, None), (Blue, Some(Point { x: 0.0, y: 3.0 }))], outcome: Ok([1, 65535]), '
      + "flags_of_it: (SECOND_ONE) }");
    // What is not asked for is not looked at, and what a getter gives counts.
    same(v.echoPoint({ get x() { return 4; }, y: 5, z: "?" }), { x: 4, y: 5 });
  },
  flags() {
    back(v.echoFew, { a: true, secondOne: false, c: true });
    same(v.echoFew({}), { a: false, secondOne: false, c: false });
    same(v.echoFew({ secondOne: true, other: 1 }), { a: false, secondOne: true, c: false });
    const nine = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`n${at}`, at % 4 === 0]));
    back(v.echoNine, nine);
    const all = (set) => Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`f${at}`, set(at)]));
    back(v.echoAll, all(() => true), all(() => false), all((at) => at === 31), all((at) => at % 3 === 0));
    is(v.showAll({ f0: true, f8: true, f31: true }), "(F0|F8|F31)");
  },
  memory() {
    back(v.echoSixteen, sixteen);
    back(v.echoSeventeen, seventeen);
    const fields = "a: 255, b: -128, c: 65535, d: -32768, e: 4294967295, f: -2147483648, g: 18446744073709551615, "
      + "h: -9223372036854775808, i: 1.5, j: 0.1, k: true, l: '😀'";
    is(v.showSixteen(sixteen), `Sixteen { ${fields}, m: "sixteen", n: 1, o: 2 }`);
    is(v.showSeventeen(seventeen), `Seventeen { ${fields}, m: "sixteen", n: "one more", o: 2 }`);
    is(v.showBoth({ tag: "text", val: "first" }, sixteen), `Text("first") Sixteen { ${fields}, m: "sixteen", n: 1, o: 2 }`);
  },
  results() {
    const thrown = (call) => {
      try {
        call(false);
      } catch (error) {
        ok(error instanceof Error && error.stack.includes("thrown"), `${error.stack}`);
        return error;
      }
      throw new Error("nothing was thrown");
    };
    is(v.checkText(true), "fine");
    same([thrown(v.checkText).payload, thrown(v.checkText).message], ["not fine: é", "not fine: é"]);
    is(v.checkNothing(true), undefined);
    const nothing = thrown(v.checkNothing);
    ok("payload" in nothing && nothing.payload === undefined);
    is(nothing.message, "example:echo/values@1.0.0#check-nothing failed: see the error's payload");
    is(v.checkColour(true), 7);
    same(thrown(v.checkColour).payload, "dark-green");
    is(v.checkPoint(true), undefined);
    same(thrown(v.checkPoint).payload, { x: 1, y: 2 });
    same(v.checkShape(true), { x: 3, y: 4 });
    same([thrown(v.checkShape).payload, thrown(v.checkShape).message], [{ tag: "named-one", val: "odd" }, "named-one"]);
  },
  wrong() {
    const wrong = (call, name, message) => throws(call, { name, message: `example:echo/values@1.0.0#${message}` });
    wrong(() => v.echoBool(1), "TypeError", "echo-bool: `a` must be bool (true or false), not 1");
    wrong(() => v.echoU8(), "TypeError", "echo-u8: `a` must be u8 (an integer from 0 to 255), not undefined");
    wrong(() => v.echoU8("1"), "TypeError", "echo-u8: `a` must be u8 (an integer from 0 to 255), not a string");
    wrong(() => v.echoU8(256), "RangeError", "echo-u8: `a` must be u8 (an integer from 0 to 255), not 256");
    wrong(() => v.echoS8(1.5), "RangeError", "echo-s8: `a` must be s8 (an integer from -128 to 127), not 1.5");
    wrong(() => v.echoU32(-1), "RangeError", "echo-u32: `a` must be u32 (an integer from 0 to 4294967295), not -1");
    wrong(() => v.echoU32(NaN), "RangeError", "echo-u32: `a` must be u32 (an integer from 0 to 4294967295), not NaN");
    wrong(() => v.echoU32(1n), "TypeError", "echo-u32: `a` must be u32 (an integer from 0 to 4294967295), not 1");
    const u64 = "`a` must be u64 (a bigint from 0 to 18446744073709551615)";
    wrong(() => v.echoU64(2n ** 64n), "RangeError", `echo-u64: ${u64}, not 18446744073709551616`);
    wrong(() => v.echoU64(-1n), "RangeError", `echo-u64: ${u64}, not -1`);
    wrong(() => v.echoU64(2 ** 53), "RangeError", `echo-u64: ${u64}, not 9007199254740992`);
    wrong(() => v.echoU64("1"), "TypeError", `echo-u64: ${u64}, not a string`);
    wrong(() => v.echoF64(1n), "TypeError", "echo-f64: `a` must be f64 (a number), not 1");
    wrong(() => v.echoChar("ab"), "TypeError", "echo-char: `a` must be char (a string of one character), not a string");
    wrong(() => v.echoChar(""), "TypeError", "echo-char: `a` must be char (a string of one character), not a string");
    wrong(() => v.echoString(null), "TypeError", "echo-string: `a` must be a string, not null");
    wrong(() => v.echoString(new String("a")), "TypeError", "echo-string: `a` must be a string, not an object");
    wrong(() => v.echoBytes("ab"), "TypeError", "echo-bytes: `a` must be list<u8> (a Uint8Array), not a string");
    wrong(() => v.echoBytes([1, 256]), "RangeError", "echo-bytes: `a[1]` must be u8 (an integer from 0 to 255), not 256");
    wrong(() => v.echoNumbers({ length: 1, 0: 1 }), "TypeError", "echo-numbers: `a` must be list<u32> (an array), not an object");
    wrong(() => v.echoNumbers([1, , 3]), "TypeError",
      "echo-numbers: `a[1]` must be u32 (an integer from 0 to 4294967295), not undefined");
    wrong(() => v.echoNested([[], [[300]]]), "RangeError",
      "echo-nested: `a[1][0][0]` must be u8 (an integer from 0 to 255), not 300");
    wrong(() => v.echoOption(5), "TypeError", "echo-option: `a` must be a string, not 5");
    wrong(() => v.echoOption2(5), "TypeError",
      'echo-option2: `a` must be option<option<u32>> (an object whose `tag` is one of "none", "some"), not 5');
    wrong(() => v.echoPair([1, "a"]), "TypeError",
      "echo-pair: `a` must be tuple<u8, string, option<s64>> (an array of 3), not an array");
    wrong(() => v.echoPoint(undefined), "TypeError", "echo-point: `a` must be point (an object), not undefined");
    wrong(() => v.echoPoint({ x: 1 }), "TypeError", "echo-point: `a.y` must be f64 (a number), not undefined");
    wrong(() => v.echoColour("green"), "TypeError",
      'echo-colour: `a` must be colour (one of "red", "dark-green", "blue"), not a string');
    wrong(() => v.echoFew({ a: 1 }), "TypeError", "echo-few: `a.a` must be bool (true or false), not 1");
    wrong(() => v.echoFew(3), "TypeError", "echo-few: `a` must be few (an object of booleans), not 3");
    wrong(() => v.echoShape({ tag: "square" }), "TypeError", "echo-shape: `a` must be shape (an object whose `tag` is one of "
      + '"empty", "circle", "named-one", "at", "many"), not an object');
    wrong(() => v.echoShape({ tag: "at", val: { x: 1, y: "2" } }), "TypeError",
      "echo-shape: `a.val.y` must be f64 (a number), not a string");
    wrong(() => v.echoDeep({ ...deep, byColour: [["red", undefined], ["red", { x: 0 }]] }), "TypeError",
      "echo-deep: `a.byColour[1][1].y` must be f64 (a number), not undefined");
    // A getter's own exception is left as it is, and the next call works.
    throws(() => v.echoPoint({ get x() { throw new RangeError("mine"); } }), { name: "RangeError", message: "mine" });
    back(v.echoPoint, { x: 1, y: 2 });
  },
  hostile() {
    // Getters that change what is being read, and call capabilities meanwhile.
    const list = [1, 2, 3];
    Object.defineProperty(list, 1, { get: () => ((list.length = 2), v.echoU32(5)) });
    throws(() => v.echoNumbers(list), { name: "TypeError" });
    const bytes = Uint8Array.of(1, 2, 3);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    same(v.echoBytes(bytes), new Uint8Array());
    throws(() => v.echoLongs(new Array(4294967295)), /memory/);
    throws(() => v.echoLongs(new Array(100_000_000)), /memory/);
    Object.defineProperty(Object.prototype, "x", { set() { throw new Error("a setter was called"); }, configurable: true });
    same(v.echoPoint({ __proto__: null, x: 1, y: 2 }).y, 2);
    delete Object.prototype.x;
  },
  many() {
    // What calls allocate is freed: 100 MB in all, of 64.
    const texts = Array.from({ length: 10 }, () => "x".repeat(5_000));
    for (let at = 0; at < 1_000; at++) v.echoTexts(texts);
  },
  async waits() {
    is(v.wait(1), "waited");
  },
  reflection() {
    same([v.echoU8.name, v.echoU8.length, v.showBoth.length, typeof v.nothing], ["echoU8", 1, 2, "function"]);
  },
};

export default {
  async call(name) {
    if (name === "names") return Object.keys(cases);
    if (name === "break") return v.break();
    if (name === "give") return v.give(100_000_000).length;
    if (name === "too much") return v.echoBytes(new Uint8Array(17 << 20)).length;
    await cases[name]();
    return "passed";
  },
};

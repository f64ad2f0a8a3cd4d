//! JSON: the fast ways of the engine against those of QuickJS, which a reviver or a replacer that changes nothing asks
//! for.

use elias_tests::serve::Server;

const COMPARING: &str = r#"
let seed = 1;
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};
const pick = (list) => list[random(list.length)];
const texts = ["", "a", "name", "ü", "日本", "\ud83d\ude00", "\ud800", "\udc00x", "\u0000", "\u001f\n\t\"\\/\b",
  "__proto__", "toJSON", "0", "12", "4294967295",
  "x".repeat(100), "\u2028", "\u007f\u0080\u00ff", "constructor", "длинный"];
const numbers = [0, -0, 1, -1, 0.1, 1e21, 1e-7, -1.5, 123456789012345, 1234567890123456, 2 ** 31, -(2 ** 31), 2 ** 53,
  0.1 + 0.2, 5e-324, 1.7976931348623157e308,
  NaN, Infinity, 100, 1e15, 1e16, 123.456, 4.35, 0.000001];

function value(depth) {
  switch (random(depth > 4 ? 6 : 12)) {
    case 0: return null;
    case 1: return random(2) === 1;
    case 2: case 3: return random(3) === 0 ? (random(2 ** 32) - 2 ** 31) / pick([1, 10, 1000, 7]) : pick(numbers);
    case 4: case 5: return random(3) === 0 ? pick(texts) + pick(texts) : pick(texts);
    case 6: case 7: return Array.from({ length: random(5) }, () => value(depth + 1));
    case 8: return pick([undefined, () => 1, Symbol("s"), new Date(0), new Map([[1, 2]]), Object(1), Object("s"), [, 1],
      new (class A { x = 1; #y = 2; get z() { return 3; } })()]);
    default: {
      const object = random(8) === 0 ? Object.create(null) : {};
      for (let at = random(6); at > 0; at--) {
        const key = random(2) === 0 ? pick(["id", "name", "list", "value", "at"]) : pick(texts);
        if (key === "toJSON" && random(2) === 0) Object.defineProperty(object, key,
          { value: () => "from toJSON", configurable: true, enumerable: random(2) === 0 });
        else if (random(20) === 0) Object.defineProperty(object, key,
          { get: () => 7, enumerable: random(2) === 0, configurable: true });
        else Object.defineProperty(object, key,
          { value: value(depth + 1), writable: true, enumerable: random(15) !== 0, configurable: true });
        if (random(30) === 0) delete object[key];
      }
      return object;
    }
  }
}

const attempt = (run) => {
  try {
    return run();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};
const slowText = (it) => attempt(() => JSON.stringify(it, (key, value) => value));
const shown = (it) => slowText([it, Object.is(it, -0), typeof it]);
const zeros = (it) => (Object.is(it, -0) ? "-0" : typeof it === "object" && it !== null ?
  Object.entries(it).map(([key, inner]) => [key, zeros(inner)]) : it);

/** A text with something wrong in it, perhaps. */
function damaged(text) {
  const at = random(text.length + 1);
  switch (random(4)) {
    case 0: return text.slice(0, at) + text.slice(at + 1);
    case 1: return text.slice(0, at) + pick([",", "}", "]", "\"", "\\", "0", "-", "e", ".", " ", "\t", "\u0001",
      "\u00a0", "tru", "{", "[", ":"]) + text.slice(at);
    case 2: return text.slice(0, at);
    default: return text.replaceAll(/[,:{[]/g, (sign) => sign + pick(["", " ", "\n\t", "\r"]));
  }
}

function compare(rounds) {
  for (let round = 0; round < rounds; round++) {
    const it = value(0);
    const [fast, slow] = [attempt(() => JSON.stringify(it)), slowText(it)];
    if (fast !== slow) return { what: "stringify", fast, slow };
    if (typeof slow !== "string") continue;
    for (const text of [slow, damaged(slow), damaged(damaged(slow))]) {
      const [quick, careful] = [attempt(() => JSON.parse(text)),
        attempt(() => JSON.parse(text, (key, value) => value))];
      const [a, b] = [slowText(zeros(quick)), slowText(zeros(careful))];
      if (shown(quick) !== shown(careful) || a !== b)
        return { what: "parse", text, quick: shown(quick), careful: shown(careful), a, b };
    }
  }
  return "the same";
}

const special = () => {
  const circle = { a: [{}] };
  circle.a[0].b = circle;
  const shared = { x: 1 };
  const duplicate = JSON.parse('{"a":1,"b":2,"a":[3]}');
  const own = JSON.parse('{"__proto__":{"x":1}}');
  const rows = JSON.parse('[{"a":1,"b":2},{"a":3,"b":4},{"a":5},{"b":6,"a":7},{"a":8,"b":9,"c":10},{"a":11,"b":12}]');
  rows[1].c = 5;
  Array.prototype.toJSON = () => "an array";
  const patched = JSON.stringify({ list: [1] });
  delete Array.prototype.toJSON;
  return {
    circle: attempt(() => JSON.stringify(circle)).startsWith("TypeError"),
    again: attempt(() => JSON.stringify(circle)).startsWith("TypeError"),
    shared: JSON.stringify([shared, shared]),
    duplicate: Object.entries(duplicate),
    own: [Object.hasOwn(own, "__proto__"), Object.getPrototypeOf(own) === Object.prototype],
    rows: rows.map((row) => Object.keys(row).join("")),
    patched,
    deep: [attempt(() => JSON.parse("[".repeat(200_000))),
      attempt(() => JSON.parse("[".repeat(1000) + "]".repeat(1000)).length)],
    long: JSON.parse(JSON.stringify("ü".repeat(100_000) + "日")).length,
    names: [JSON.parse.name, JSON.parse.length, JSON.stringify.name, JSON.stringify.length],
  };
};

export default {
  call: ({ rounds, from }) => {
    if (rounds === 0) return special();
    seed = from;
    return compare(rounds);
  },
  fetch: async (request) => {
    const { rounds, from } = await request.json();
    if (rounds === 0) return Response.json(special());
    seed = from;
    return Response.json(compare(rounds));
  },
};
"#;

#[tokio::test]
async fn the_fast_ways_do_what_quickjs_does() {
    let server = Server::of(COMPARING, &["--fuel", "100000000000", "--deadline-ms", "60000"]);
    for from in [1, 77, 4242, 987_654] {
        let order = format!("{{\"rounds\":3000,\"from\":{from}}}");
        let answer = server.send(http::Request::post("/"), "/", order).await;
        assert_eq!(answer.body, "\"the same\"");
    }
    let answer = server.send(http::Request::post("/"), "/", "{\"rounds\":0}").await.json();
    let wanted = serde_json::json!({
        "circle": true, "again": true,
        "shared": "[{\"x\":1},{\"x\":1}]",
        "duplicate": [["a", [3]], ["b", 2]],
        "own": [true, true],
        "rows": ["ab", "abc", "a", "ba", "abc", "ab"],
        "patched": "{\"list\":\"an array\"}",
        "deep": [answer["deep"][0], 1],
        "long": 100_001,
        "names": ["parse", 2, "stringify", 3],
    });
    assert_eq!(answer, wanted);
    let deep = answer["deep"][0].as_str().expect("an error");
    assert!(deep.starts_with("RangeError") || deep.starts_with("SyntaxError"), "{deep}");
}

//! `elias/cache`: the same behaviour on both backends.

use elias_tests::build::{Project, component};
use elias_tests::platform::until;
use elias_tests::serve::Server;
use elias_tests::services;

const USER: &str = r#"
import { cache } from "elias/cache";
import { log } from "elias/log";
const functions = {
  async types() {
    const values = { text: "ü", empty: "", number: 1.5, list: [1, "a", null], flag: true, nothing: null };
    for (const [key, value] of Object.entries(values)) await cache.set(key, value);
    await cache.set("bytes", new Uint8Array([0, 1, 255]));
    const many = await cache.getMany([...Object.keys(values), "missing"]);
    return [Object.fromEntries(many), [...(await cache.get("bytes"))], (await cache.get("missing")) ?? "none"];
  },
  async conditions() {
    return [
      await cache.setIfAbsent("once", 1), await cache.setIfAbsent("once", 2),
      await cache.compareAndSwap("once", 2, 3), await cache.compareAndSwap("once", 1, 3), await cache.get("once"),
      await cache.increment("count"), await cache.increment("count", 41), await cache.get("count"),
      await cache.delete("once"), await cache.delete("once"),
    ];
  },
  async expiry() {
    await cache.set("short", "x", { ttlMs: 2000 });
    const before = await cache.get("short");
    // The request's deadline ends this if the value stays.
    while ((await cache.get("short")) === "x") await new Promise((resolve) => setTimeout(resolve, 50));
    return [before, "gone"];
  },
  async remember() {
    return cache.remember("slow", 60, async () => {
      log.info("made the value");
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { made: true };
    });
  },
  async together() {
    let made = 0;
    const make = async () => { await new Promise((resolve) => setTimeout(resolve, 20)); return ++made; };
    const all = await Promise.all(Array.from({ length: 200 }, () => cache.remember("together", 60, make)));
    return [made, all.every((value) => value === 1)];
  },
  async caps() {
    const code = (promise) => promise.then(() => "no error", (error) => error.code);
    return [
      await code(cache.get("k".repeat(1000))), await code(cache.get("")),
        await code(cache.set("k", "v".repeat(2_000_000))),
      await code(cache.getMany(Array.from({ length: 200 }, (_, i) => `k${i}`))),
      await cache.set("word", "abc").then(() => code(cache.increment("word"))),
    ];
  },
  async own(request) {
    const name = new URL(request.url).searchParams.get("name");
    const before = (await cache.get("shared")) ?? "nothing";
    await cache.set("shared", name);
    return before;
  },
};
const slow = (work) => new Promise((resolve, reject) =>
  setTimeout(() => { try { resolve(work()); } catch (error) { reject(error); } }, 500));
functions.fails = async () => {
  await cache.increment("have-asked");
  // The first fails only once all twenty wait for it.
  const all = async () => { while (Number(await cache.get("have-asked")) < 20) await slow(() => {}); };
  const make = async () => {
    log.info("tried in vain");
    await all();
    await slow(() => { throw new Error("on purpose"); });
  };
  return cache.remember("fails", 60, make).catch((error) => error.code ?? error.message);
};
functions.wrong = async () => {
  let made = 0;
  const told = [];
  for (const ttl of [-1, 0, NaN, "soon"]) {
    told.push(await cache.remember("wrong", { ttl }, () => ++made).catch((error) => error.name));
  }
  return [made, ...told];
};
functions.late = () => cache.remember("late", 60, () => (log.info("making it"), slow(() => "made")));
functions.exact = async () => {
  const told = [];
  for (const value of ["v".repeat(1 << 20), new Uint8Array(1 << 20), "v".repeat((1 << 20) + 1)]) {
    told.push(await cache.set("exact", value).then(() => "kept", (error) => error.code));
  }
  return told;
};
functions.flood = async () => {
  const value = "x".repeat(4096);
  for (let i = 0; i < 4000; i++) await cache.set(`flood-${i}`, value);
  let kept = 0;
  for (let i = 0; i < 4000; i += 100) {
    kept += (await cache.getMany(Array.from({ length: 100 }, (_, at) => `flood-${i + at}`))).size;
  }
  return kept;
};
export default {
  async fetch(request) { return Response.json(await functions[new URL(request.url).pathname.slice(1)](request)); },
};
"#;

/// A server for a component of this name, on the backend that the lines choose.
fn served(name: &str, backend: &str) -> Server {
    let project = Project::new(&[("package.json", &format!("{{ \"name\": \"{name}\" }}")), ("index.js", USER)]);
    project.write("app.wasm", project.build("index.js"));
    project.write("elias.toml", format!("[capabilities.cache]\n{backend}\n"));
    Server::of_project(project, "app.wasm", &[])
}

async fn behaves(name: &str, backend: &str) {
    let server = served(name, backend);
    let types = server.get("/types").await.json();
    let wanted = serde_json::json!([
        { "text": "ü", "empty": "", "number": 1.5, "list": [1, "a", null], "flag": true, "nothing": null },
        [0, 1, 255], "none",
    ]);
    assert_eq!(types, wanted);
    let conditions = server.get("/conditions").await.body;
    assert_eq!(conditions, "[true,false,false,true,3,1,42,42,true,false]");
    assert_eq!(server.get("/expiry").await.body, r#"["x","gone"]"#);
    assert_eq!(server.get("/together").await.body, "[1,true]");
    let caps = server.get("/caps").await.body;
    assert_eq!(caps, r#"["invalid-key","invalid-key","too-large","too-large","not-a-number"]"#);
    let fails = futures::future::join_all((0..20).map(|_| server.get("/fails"))).await;
    let told: Vec<_> = fails.iter().map(|answer| answer.body.as_str()).collect();
    assert_eq!(told.iter().filter(|told| **told == r#""on purpose""#).count(), 2, "{told:?}");
    assert!(told.iter().all(|told| [r#""on purpose""#, r#""unavailable""#].contains(told)), "{told:?}");
    let wrong = r#"[0,"RangeError","RangeError","RangeError","RangeError"]"#;
    assert_eq!(server.get("/wrong").await.body, wrong, "nothing is made for a time that is none");
    assert_eq!(server.get("/exact").await.body, r#"["kept","kept","too-large"]"#);
    let misses = futures::future::join_all((0..100).map(|_| server.get("/remember"))).await;
    let other = misses.iter().find(|answer| answer.body != r#"{"made":true}"#);
    assert!(other.is_none(), "{other:?}\n{}", server.log());
    let log = server.logged("made the value").await;
    assert_eq!(log.matches("made the value").count(), 1, "a hundred misses make the value once");
}

#[tokio::test]
async fn in_memory() {
    behaves("memory", "").await;
}

#[tokio::test]
async fn in_redis() {
    let backend = format!("backend = \"redis\"\nurl = \"{}\"\ntimeout-ms = 60000", services::redis());
    behaves("redis-user", &backend).await;
}

#[tokio::test]
async fn a_flood_of_keys_is_kept_within_total_bytes() {
    let project = Project::new(&[("package.json", r#"{ "name": "flood" }"#), ("index.js", USER)]);
    project.write("app.wasm", project.build("index.js"));
    project.write("elias.toml", "[capabilities.cache]\ntotal-bytes = 1048576\nvalue-bytes = 8192\n");
    let server = Server::of_project(project, "app.wasm", &["--fuel", "5000000000"]);
    let kept = server.get("/flood").await.json().as_u64().unwrap_or_else(|| panic!("{}", server.log()));
    assert!((1..=1_048_576 / 4096).contains(&kept), "{kept} of 4,000 values of 4 KiB are left in 1 MiB");
}

#[tokio::test]
async fn two_components_with_the_same_keys_do_not_meet() {
    let backend = format!("backend = \"redis\"\nurl = \"{}\"\ntimeout-ms = 60000", services::redis());
    let (one, other) = (served("a", &backend), served("a:b", &backend));
    assert_eq!(one.get("/own?name=one").await.body, r#""nothing""#);
    assert_eq!(other.get("/own?name=other").await.body, r#""nothing""#);
    assert_eq!(one.get("/own?name=one").await.body, r#""one""#);
}

#[tokio::test]
async fn redis_goes_and_comes_back() {
    let mut redis = services::Redis::start();
    let server = served("restarts", &format!("backend = \"redis\"\nurl = \"{}\"\ntimeout-ms = 500", redis.url()));
    assert_eq!(server.get("/own?name=x").await.body, r#""nothing""#);
    redis.stop();
    let down = server.get("/own?name=x").await;
    assert_eq!(down.code(), "exception");
    assert!(!down.body.contains("127.0.0.1"), "{}", down.body);
    redis.restart();
    until("it answers again", async || (server.get("/own?name=x").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn what_was_made_is_given_though_redis_has_gone() {
    let mut redis = services::Redis::start();
    let server = served("late", &format!("backend = \"redis\"\nurl = \"{}\"\ntimeout-ms = 500", redis.url()));
    let (answer, ()) = tokio::join!(server.get("/late"), async {
        server.logged("making it").await;
        redis.stop();
    });
    assert_eq!((answer.status, answer.body.as_str()), (200, r#""made""#), "{}", server.log());
}

#[tokio::test]
async fn in_redis_by_tls() {
    let url = std::env::var("ELIAS_TEST_REDIS_TLS").expect("run the tests with `make test`, which starts Redis");
    let ca = std::env::var("ELIAS_TEST_POSTGRES_CA").expect("and makes an authority");
    let backend = format!("backend = \"redis\"\nurl = \"{url}\"\nroot-certificate = \"{ca}\"\ntimeout-ms = 60000");
    let server = served("tls-user", &backend);
    assert_eq!(server.get("/own?name=one").await.body, r#""nothing""#);
    assert_eq!(server.get("/own?name=two").await.body, r#""one""#);
}

#[test]
fn without_its_line_it_is_refused() {
    let project = Project::new(&[]);
    let source =
        "import { cache } from 'elias'; export default { fetch: async () => Response.json(await cache.get('x')) };";
    project.write("app.wasm", component(source));
    let output = elias_tests::serve::refused(&project.path("app.wasm"), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[capability-denied]") && said.contains("[capabilities.cache]"), "{said}");
}

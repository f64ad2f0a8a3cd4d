//! Hot swap: the code of another version is put under a living worker, which loses nothing of what it holds.

use crate::workers::{call, load, run, started, turn};
use elias_host::{App, Error, ErrorCode, TurnKind, TurnResult, Worker, WorkerHeap};
use elias_tests::build::component;
use serde_json::json;

/// What a worker may hold. Texts say which version's code has made them.
const OLD: &str = r#"
import { worker } from "elias";

const shared = new Map();
let calls = 0;

function price(count) { return `old ${count}`; }

class Base extends worker.Worker {
  #marks = ["made by the base"];
  describe() { return `old base ${this.#marks.length}`; }
}

export class Item {
  #count;
  constructor(count) { this.#count = count; }
  static made = 0;
  get total() { return `old ${this.#count}`; }
}

export class Cart extends Base {
  #secret = 7;
  items = new Map();
  total = 0;

  async *numbers() { yield "old 1"; yield "old 2"; }
  counter() { let count = 0; return () => `old ${++count}`; }
  async wait() {
    try {
      return `old waited for ${await this.gate} ${price(2)} ${this.#secret}`;
    } finally {
      this.end = "old end";
    }
  }
  async begin() {
    this.items.set("a", new Item(1)).set("b", new Item(2));
    this.one = { marks: [] };
    this.other = this.one;
    shared.set("one", this.one);
    this.count = this.counter();
    this.count();
    this.generator = this.numbers();
    await this.generator.next();
    this.gate = new Promise((open) => { this.open = open; });
    this.waiting = this.wait().then((text) => `old then ${text}`);
    calls += 1;
    return price(1);
  }
  check() { return "old check"; }
  fail() { throw new RangeError("old failure"); }
  removed() { return "old"; }
}
"#;

/// The same with other functions, members, a variable, a function and a class.
fn new() -> String {
    let added = r#"
const RATE = 3;
const extra = (count) => `${price(count)} ${shared.size} ${calls}`;

function price(count)"#;
    let check = r#"secret() { return this.#secret; }
  static fresh() { return new this() instanceof Cart; }
  async check() {
    this.open("news");
    return [
      this.one === this.other && shared.get("one") === this.one,
      this.count(),
      [...this.items.values()].map((item) => item.total).join(),
      this.items.get("a") instanceof Item && this.items.get("a").constructor === Item,
      (await this.generator.next()).value,
      (await this.numbers().next()).value,
      await this.waiting,
      this.end,
      this.describe(),
      this.secret(),
      extra(RATE),
      new Special(5).special() && new Special(5).total,
      typeof this.removed,
      Cart.fresh(),
    ];
  }"#;
    let special = "\nclass Special extends Item { special() { return this instanceof Item; } }\n";
    let source = OLD
        .replace("`old ", "`new ")
        .replace("\"old ", "\"new ")
        .replace("check() { return \"new check\"; }", check)
        .replace("  removed() { return \"old\"; }\n", "")
        .replace("\nfunction price(count)", added);
    source + special
}

async fn swap(worker: &mut Worker, image: &App, next: &App) -> Result<TurnResult, Error> {
    let code = image.swap_into(next)?;
    let source = code.source()?;
    let kind = TurnKind::Swap { code: code.name().to_owned(), source };
    Ok(run(worker, &turn(kind)).await?.result)
}

/// A worker of `old` that has begun, in its component.
async fn begun(old: &App) -> Worker {
    let mut worker = started(old).await;
    assert_eq!(call(&mut worker, "begin", json!([])).await, "old 1");
    worker.commit();
    worker
}

/// Why a worker of `OLD` does not go on in this version; it is as before then.
async fn refusal(source: &str) -> String {
    let (old, next) = (load(&component(OLD)).await, load(&component(source)).await);
    let mut worker = begun(&old).await;
    let heap = worker.heap();
    let refused = swap(&mut worker, &old, &next).await.expect_err("it does not fit");
    assert!(matches!(refused.code(), ErrorCode::Exception | ErrorCode::HeapMismatch), "{refused}");
    assert_eq!(worker.heap(), heap);
    assert_eq!(call(&mut worker, "check", json!([])).await, "old check");
    refused.to_string()
}

#[tokio::test]
async fn a_worker_keeps_all_that_it_holds_and_gets_the_new_code() {
    let (old, next) = (load(&component(OLD)).await, load(&component(&new())).await);
    let mut worker = begun(&old).await;
    let result = swap(&mut worker, &old, &next).await.expect("it fits");
    assert!(result.timers.set.is_empty() && result.sends.is_empty(), "{result:?}");
    let changed = worker.commit().bytes();
    assert!(changed < 1 << 20, "{changed} bytes of the heap changed");
    let checked = json!([
        true,
        "new 2",
        "new 1,new 2",
        true,
        "old 2",
        "new 1",
        "new then old waited for news new 2 7",
        "old end",
        "new base 1",
        7,
        "new 3 1 1",
        "new 5",
        "undefined",
        true,
    ]);
    // Reactions that were attached before are functions, and have the new code; a frame that waits ends on its own.
    assert_eq!(call(&mut worker, "check", json!([])).await, checked);
    // The heap is still the difference to the old version's image, on any host.
    worker.commit();
    let heap = WorkerHeap::from_bytes(&worker.heap().to_bytes().expect("bytes"), u64::MAX).expect("it is read");
    assert_eq!(heap.component(), old.digest());
    let mut worker = load(&component(OLD)).await.restore_worker(&heap).expect("it is restored");
    assert_eq!(call(&mut worker, "secret", json!([])).await, 7);
    // It has that code already.
    swap(&mut worker, &old, &next).await.expect("nothing is to be done");
    let changed = worker.commit().bytes();
    assert!(changed < 96 << 10, "{changed} bytes changed though it was swapped already");
}

#[tokio::test]
async fn a_worker_is_swapped_again_and_back() {
    let (old, next) = (load(&component(OLD)).await, load(&component(&new())).await);
    let mut worker = begun(&old).await;
    for _ in 0..3 {
        swap(&mut worker, &old, &next).await.expect("it fits");
        assert_eq!(call(&mut worker, "secret", json!([])).await, 7);
        swap(&mut worker, &old, &old).await.expect("it goes back");
        assert_eq!(call(&mut worker, "check", json!([])).await, "old check");
    }
    let third = load(&component(&new().replace("`new ", "`third ").replace("\"new ", "\"third "))).await;
    swap(&mut worker, &old, &next).await.expect("it fits");
    swap(&mut worker, &old, &third).await.expect("it fits");
    assert_eq!(call(&mut worker, "check", json!([])).await[8], "third base 1");
}

/// Declarations, what a worker holds of them, and what it says afterwards. VERSION is `old` and then `new`.
const KINDS: [(&str, &str, &str, &str); 6] = [
    (
        r#"
        class A {
          static #made = 0;
          #method() { return "VERSION m"; }
          get #getter() { return "VERSION g"; }
          static #helper() { return "VERSION s"; }
          static count() { return `${++A.#made} ${A.#helper()}`; }
          static get kind() { return "VERSION kind"; }
          all() { return `${this.#method()} ${this.#getter}`; }
        }"#,
        "(A.count(), new A())",
        "[held.all(), A.count(), A.kind].join()",
        "new m new g,2 new s,new kind",
    ),
    (
        r#"
        class A {
          *[Symbol.iterator]() { yield "VERSION"; }
          get [Symbol.toStringTag]() { return "VERSION tag"; }
        }"#,
        "new A()",
        "[...held, String(held)].join()",
        "new,[object new tag]",
    ),
    (
        r#"
        const Mixin = (Base) => class extends Base { x = 1; m() { return `VERSION m ${super.m()}`; } };
        class Root { m() { return "VERSION root"; } }
        class A extends Mixin(Root) {}"#,
        "new A()",
        "[held.m(), held.x, held instanceof A].join()",
        "new m new root,1,true",
    ),
    (
        r#"
        function outer(a, b = () => a) {
          let c = 1;
          return (d) => { c += 1; return ["VERSION", a, b(), c, d].join(); };
        }"#,
        "outer(1)",
        "held(3)",
        "new,1,1,2,3",
    ),
    (
        r#"
        const handlers = Object.freeze({ a: (x) => `VERSION a ${x}`, get c() { return "VERSION c"; } });
        const bound = handlers.a.bind(null, 1);"#,
        "handlers",
        "[held === handlers, held.a(2), held.c, bound()].join()",
        "true,new a 2,new c,new a 1",
    ),
    (
        r#"
        function* inner() { try { yield "VERSION 1"; yield "VERSION 2"; } finally { yield "VERSION end"; } }
        function* outer() { yield* inner(); yield "VERSION 3"; }
        function begin() { const made = outer(); made.next(); return made; }"#,
        "begin()",
        "[...held, ...outer()].join()",
        "old 2,old end,old 3,new 1,new 2,new end,new 3",
    ),
];

#[tokio::test]
async fn all_kinds_of_functions_get_the_new_code() {
    for (declarations, held, check, expect) in KINDS {
        let source = |version: &str| {
            let declarations = declarations.replace("VERSION", version);
            component(&format!(
                "import {{ worker }} from \"elias\";\n{declarations}\nexport class Cart extends worker.Worker {{\n  \
                 begin() {{ this.held = {held}; }}\n  check() {{ const {{ held }} = this; return {check}; }}\n}}\n"
            ))
        };
        let (old, next) = (load(&source("old")).await, load(&source("new")).await);
        let mut worker = started(&old).await;
        call(&mut worker, "begin", json!([])).await;
        swap(&mut worker, &old, &next).await.unwrap_or_else(|error| panic!("{declarations}: {error}"));
        assert_eq!(call(&mut worker, "check", json!([])).await, expect, "{declarations}");
    }
}

#[tokio::test]
async fn stacks_of_swapped_code_are_in_the_sources_of_the_new_version() {
    let moved = OLD.replace("  fail() { throw", "  fail() {\n\n\n    throw").replace("old failure", "new failure");
    let (old, next) = (load(&component(OLD)).await, load(&component(&moved)).await);
    let mut worker = begun(&old).await;
    let fails = async |worker: &mut Worker| {
        let kind = TurnKind::Call { method: "fail".to_owned(), args: r#"[1,[2],["array"]]"#.to_owned() };
        let error = run(worker, &turn(kind)).await.expect_err("it throws");
        error.stack().expect("it has a stack").to_owned()
    };
    let line = |source: &str| source.lines().position(|line| line.contains("throw")).expect("it is there") + 1;
    let before = fails(&mut worker).await;
    assert!(before.contains(&format!("index.js:{}:", line(OLD))), "{before}");
    swap(&mut worker, &old, &next).await.expect("it fits");
    let after = fails(&mut worker).await;
    assert!(after.contains(&format!("index.js:{}:", line(&moved))), "{after}");
}

#[tokio::test]
async fn what_cannot_be_matched_is_named_and_changes_nothing() {
    for (from, to, why) in [
        ("total = 0;", "total = 0; more = 1;", "the fields of the class Cart"),
        ("#secret = 7;", "#secret = 7; #other = 8;", "the fields of the class Cart"),
        ("class Cart extends Base", "class Cart extends worker.Worker", "the class Cart extends another class"),
        ("let count = 0; return () => `old ${++count}`;", "return 1;", "a function (without a name) of counter"),
        ("let count = 0;", "let count = 0, step = 2;", ""),
        ("() => `old ${++count}`", "() => `old ${++count} ${arguments.length}`", "captures arguments"),
        ("let calls = 0;", "var calls = 0;", "calls is declared in another way"),
        ("async *numbers() { yield \"old 1\"; yield \"old 2\"; }", "async numbers() {}", "a generator in one of"),
        ("export class Cart", "export const made = await 1;\nexport class Cart", "the top level awaits"),
        ("export class Cart", "export const item = new Item(1);\nexport class Cart", "private fields"),
        ("static made = 0;", "static made = 0;\n  static { Item.made += 1; }", "a static block"),
        ("check() {", "onUpgrade() {}\n  check() {", "another onUpgrade"),
        ("check() {", "random() { return Math.random(); }\n  check() {", "imports wasi:random/random"),
    ] {
        assert!(OLD.contains(from), "{from}");
        let source = OLD.replace(from, to);
        if why.is_empty() {
            // What no living closure captures may come.
            let (old, next) = (load(&component(OLD)).await, load(&component(&source)).await);
            let mut worker = begun(&old).await;
            swap(&mut worker, &old, &next).await.unwrap_or_else(|error| panic!("{from}: {error}"));
            continue;
        }
        let refused = refusal(&source).await;
        assert!(refused.contains(why), "{to}: {refused}");
    }
}

//! `elias-build` as an author sees it.

use elias_tests::build::Project;
use elias_tests::serve::Server;
use serde_json::Value;

/// Builds `files` and expects a failure whose text has every one of `wanted`; no file is left behind.
#[track_caller]
fn check_failure(files: &[(&str, &str)], wanted: &[&str]) {
    let project = Project::new(files);
    let output = project.elias_build(&[files[0].0, "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
    }
    let left: Vec<_> =
        std::fs::read_dir(project.path(".")).expect("listing").flatten().map(|file| file.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("app.wasm") && !name.to_string_lossy().starts_with(".elias")),
        "{left:?}"
    );
}

#[test]
fn errors_show_the_authors_own_lines() {
    check_failure(
        &[("index.js", "export default {\n  fetch() { return 1 +; },\n};\n")],
        &["syntax-error", "index.js:2:", "return 1 +;"],
    );
    check_failure(
        &[
            ("index.ts", "import { x } from \"./mising\";\nexport default { fetch: () => x };\n"),
            ("missing.ts", "export const x = 1;"),
        ],
        &["unresolved-import", "index.ts:1:", "mising", "missing"],
    );
    check_failure(
        &[
            (
                "src/index.ts",
                "import { start } from \"./deep.ts\";\nstart();\nexport default { fetch: () => new Response() };\n",
            ),
            (
                "src/deep.ts",
                "interface A { a: 1 }\n\nexport function start(): void {\n  const nothing: any = null;\n  \
                 nothing.run();\n}\n",
            ),
        ],
        &["top-level-exception", "TypeError", "src/deep.ts:5:", "nothing.run()", "src/index.ts:2:"],
    );
    check_failure(
        &[(
            "index.js",
            "const never = new Promise(() => {});\nawait never;\nexport default { fetch: () => new Response() };\n",
        )],
        &["top-level-pending", "index.js:2:", "await never"],
    );
    check_failure(
        &[("index.js", "export const fetch = 1;\n")],
        &["no-default-export", "index.js:1:", "export default {"],
    );
    check_failure(&[("index.js", "export default { run() {} };\n")], &["no-handler", "index.js:1:", "fetch"]);
    check_failure(
        &[("index.js", "const id = crypto.randomUUID();\nexport default { fetch: () => new Response(id) };\n")],
        &["random-at-build", "index.js:1:", "handler"],
    );
    check_failure(
        &[(
            "index.js",
            "for (globalThis.n = 0; ; ) globalThis.n += 1;\nexport default { fetch: () => new Response() };\n",
        )],
        &["does not come to an end", "index.js:1:", "running here"],
    );
    check_failure(
        &[("index.js", "const f = () => f() + 1;\nf();\nexport default { fetch() {} };\n")],
        &["RangeError", "index.js:1:"],
    );
}

#[test]
fn works_with_warnings_when_the_top_level_reads_clock_or_chance() {
    let project = Project::new(&[(
        "index.js",
        "const started = Date.now();\nconst dice = Math.random();\nexport default { call: () => [started, dice, \
         Math.random()] };\n",
    )]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("clock-at-build") && said.contains("index.js:1:"), "{said}");
    assert!(said.contains("random-at-build-seeded") && said.contains("index.js:2:"), "{said}");
}

#[test]
fn warns_where_the_top_level_reads_the_environment() {
    let project = Project::new(&[(
        "index.js",
        "const debug = process.env.DEBUG;\nconst key = process.env.API_KEY;\nconst all = { ...process.env };\n\
         const has = \"PORT\" in process.env;\nexport default { call: () => [debug, key, all, has, process.env.LATE] \
         };\n",
    )]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for line in 2..=4 {
        assert!(
            said.contains("environment-at-build") && said.contains(&format!("index.js:{line}:")),
            "line {line}: {said}"
        );
    }
    assert!(!said.contains("index.js:1:") && !said.contains("index.js:5:"), "{said}");
}

#[test]
fn the_same_source_gives_the_same_bytes_wherever_it_is() {
    let files = [
        ("package.json", r#"{ "name": "same", "version": "1.2.3" }"#),
        (
            "src/index.ts",
            "import data from './data.json';\nexport default { fetch: () => Response.json([data, Math.random(), \
             new Date()]) };\n",
        ),
        ("src/data.json", r#"{ "a": [1, 2, 3] }"#),
    ];
    let build = |project: &Project, cache: &str| {
        let output = project.elias_build(&["src/index.ts", "-o", "app.wasm", "--cache-dir", cache]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(project.path("app.wasm")).expect("it was written")
    };
    let (one, other) = (Project::new(&files), Project::new(&files));
    // An empty cache, so that the engine is started anew as on another machine.
    let first = build(&one, "cache-of-one");
    assert!(first == build(&other, "cache-of-other"), "two folders, two caches, two results");
    assert!(first == build(&one, "cache-of-one"), "a warm cache gives another result");
    let text = String::from_utf8_lossy(&first);
    assert!(!text.contains(one.path("").to_str().expect("UTF-8")), "the component tells where it was built");
}

#[test]
fn inspect_tells_what_a_component_can_reach() {
    let inspect = |source: &str| -> Value {
        let project =
            Project::new(&[("package.json", r#"{ "name": "@team/shop", "version": "2.0.1" }"#), ("index.js", source)]);
        project.write("app.wasm", project.build("index.js"));
        let output = project.elias_build(&["inspect", "app.wasm", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let quiet = inspect("export default { call: (n) => n + 1 };");
    assert_eq!(quiet["manifest"]["name"], "@team/shop");
    assert_eq!(quiet["manifest"]["version"], "2.0.1");
    assert_eq!(quiet["manifest"]["handlers"], serde_json::json!(["call"]));
    assert_eq!(quiet["imports"], serde_json::json!([]), "it only computes");
    assert_eq!(quiet["exports"], serde_json::json!(["elias:component/call@0.1.0"]));
    let talking = inspect(
        "export default { call() { console.log(Date.now(), Math.random()); setTimeout(() => {}); return 1; } };",
    );
    let imports = talking["imports"].to_string();
    for wanted in ["elias:log/log", "wasi:clocks/wall-clock", "wasi:clocks/monotonic-clock", "wasi:random/random"] {
        assert!(imports.contains(wanted), "{wanted} is missing in {imports}");
    }
    assert!(!imports.contains("wasi:http"), "{imports}");
}

#[test]
fn triggers_are_exported_where_the_source_has_their_handlers() {
    let inspect = |source: &str| -> Value {
        let project = Project::new(&[("index.js", source)]);
        project.write("app.wasm", project.build("index.js"));
        let output = project.elias_build(&["inspect", "app.wasm", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let all = inspect(
        "import { events, jobs, step } from 'elias';
         class Shop {
           scheduled(tick) { return jobs.enqueue(tick.name); }
           job = ({ input }) => step('one', () => input);
           event(event) { return events.publish('seen', event.data); }
         }
         export default new Shop();",
    );
    assert_eq!(all["manifest"]["handlers"], serde_json::json!(["event", "job", "scheduled"]));
    let capabilities = ["elias:events/events@0.1.0", "elias:jobs/jobs@0.1.0", "elias:workflow/steps@0.1.0"];
    let (needed_by, exports) = (&all["manifest"]["needed-by"], all["exports"].to_string());
    for capability in capabilities {
        assert!(needed_by[capability].as_str().is_some_and(|place| place.starts_with("index.js:")), "{needed_by}");
    }
    for interface in ["schedule", "job", "event"] {
        assert!(exports.contains(&format!("elias:triggers/{interface}@0.1.0")), "{exports}");
    }
    // A router that has a method for every name handles no triggers.
    let proxy = inspect(
        "export default new Proxy({ fetch: () => new Response() }, { get: (it, name) => it[name] ?? (() => {}) });",
    );
    assert_eq!(proxy["manifest"]["handlers"], serde_json::json!(["call", "fetch"]));
    check_failure(
        &[("index.js", "const name = ['j', 'ob'].join('');\nexport default { [name]() {} };\n")],
        &["no-handler", "a handler `job`"],
    );
}

#[test]
fn classes_of_service_workers_are_found_and_exported() {
    let source = "import { worker } from 'elias';
         class Base extends worker.Worker {}
         export class Cart extends Base { add() {} }
         export const counter = worker({ onMessage() {} });
         export const helper = () => {};
         export class Other {}\n";
    let project = Project::new(&[("index.js", source)]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("workers Cart, counter"), "{said}");
    assert!(!said.contains("unexported-worker") && !said.contains("handles"), "{said}");
    let inspect = || -> Value {
        let output = project.elias_build(&["inspect", "app.wasm", "--json"]);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let inspection = inspect();
    assert_eq!(inspection["manifest"]["workers"], serde_json::json!(["Cart", "counter"]));
    assert_eq!(inspection["manifest"]["handlers"], serde_json::json!([]));
    assert_eq!(inspection["exports"], serde_json::json!(["elias:triggers/worker@0.1.0"]));
    let shown = project.elias_build(&["inspect", "app.wasm"]).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("workers     Cart, counter"));

    // Beside handlers; and without workers nothing of theirs is there.
    let both = format!("{source}export default {{ call: () => 1 }};\n");
    project.write("both.js", both);
    project.write("app.wasm", project.build("both.js"));
    let inspection = inspect();
    assert_eq!(inspection["manifest"]["handlers"], serde_json::json!(["call"]));
    assert_eq!(inspection["exports"].as_array().map(Vec::len), Some(2), "{inspection}");
    project.write("none.js", "import { worker } from 'elias'; export default { call: () => worker.name ?? null };");
    project.write("app.wasm", project.build("none.js"));
    let inspection = inspect();
    assert_eq!(inspection["manifest"]["workers"], Value::Null);
    assert_eq!(inspection["exports"], serde_json::json!(["elias:component/call@0.1.0"]));
}

#[test]
fn a_class_of_workers_that_nobody_can_start_is_a_mistake() {
    let lost = "import { worker } from 'elias';\n\nclass Cart extends worker.Worker {}\n\
                export default { call: () => Cart.name };\n";
    let project = Project::new(&[("index.js", lost)]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("unexported-worker") && said.contains("index.js:3:"), "{said}");
    check_failure(
        &[("index.js", "import { worker } from 'elias';\nexport default class extends worker.Worker {}\n")],
        &["top-level-exception", "worker"],
    );
    check_failure(
        &[("index.js", "import { workers } from 'elias';\nworkers.get('Cart', 'a');\nexport const a = 1;\n")],
        &["no-default-export", "worker.Worker"],
    );
}

#[test]
fn inspect_lists_the_packages_in_a_component() {
    let lock = r#"{ "lockfileVersion": 3, "packages": {
      "node_modules/used": { "version": "1.0.0", "integrity": "sha512-AAEC" } } }"#;
    let project = Project::new(&[
        ("package.json", r#"{ "name": "shop", "version": "2.0.1" }"#),
        ("package-lock.json", lock),
        ("node_modules/used/package.json", r#"{ "name": "used", "version": "1.0.0", "license": "MIT" }"#),
        ("node_modules/used/index.js", "export default (n) => n + 1;"),
        ("node_modules/unused/package.json", r#"{ "name": "unused", "version": "1.0.0", "sideEffects": false }"#),
        ("node_modules/unused/index.js", "export const unused = 1;"),
        ("index.js", "import used from 'used'; import { unused } from 'unused'; export default { call: used };"),
    ]);
    project.write("app.wasm", project.build("index.js"));
    let output = project.elias_build(&["inspect", "app.wasm", "--sbom"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sbom: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    assert_eq!(sbom["metadata"]["component"]["purl"], "pkg:npm/shop@2.0.1");
    assert_eq!(sbom["components"].as_array().map(Vec::len), Some(1), "{sbom}");
    assert_eq!(sbom["components"][0]["purl"], "pkg:npm/used@1.0.0");
    assert_eq!(sbom["components"][0]["hashes"][0]["content"], "000102");

    project.write("package-lock.json", lock.replace("1.0.0", "1.0.1"));
    let said = project.elias_build(&["index.js", "-o", "app.wasm"]).stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("lockfile-mismatch") && said.contains("1.0.1"), "{said}");
}

#[test]
fn typescript_is_converted_as_its_tsconfig_says() {
    let project = Project::new(&[
        (
            "tsconfig.json",
            r#"{ "compilerOptions": { "paths": { "@lib/*": ["./src/lib/*"] }, "experimentalDecorators": true,
                "jsx": "react-jsx",
                 "jsxImportSource": "@lib", "useDefineForClassFields": false } }"#,
        ),
        (
            "src/lib/jsx-runtime.ts",
            "export const jsx = (tag: any, { children }: any): any => typeof tag === 'function' ? tag({ children }) : \
             `<${tag}>${[children].flat().join('')}</${tag}>`;\nexport const jsxs = jsx;\n\
             export const Fragment = ({ children }: any) => [children].flat().join('');\n",
        ),
        ("src/lib/greet.ts", "export const greet = (who: string): string => `hi ${who}`;\n"),
        (
            "src/index.tsx",
            r#"
            import { greet } from "@lib/greet.js";
            enum Color { Red, Green = "g" }
            const enum Size { Large = 5 }
            namespace Inner { export const x = 1; }
            function loud(_target: any, _key: string, descriptor: PropertyDescriptor) {
              const { value } = descriptor;
              descriptor.value = function (...given: any[]) { return `${value.apply(this, given)}!`; };
            }
            class Greeter {
              constructor(private readonly who: string) {}
              @loud greet(): string { return greet(this.who); }
            }
            const page = <><b>{new Greeter("x").greet()}</b></>;
            export default { fetch: (): Response =>
              new Response(`${page}${Color.Red}${Color.Green}${Size.Large}${Inner.x}`) };
            "#,
        ),
    ]);
    let wasm = project.build("src/index.tsx");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(Server::start(&wasm, &[]).get("/").await.body, "<b>hi x!</b>0g51");
    });
    project.write("tsconfig.json", "{}");
    project.write(
        "src/index.tsx",
        "const d = (v: any, _: any) => v;\nclass A { @d m() {} }\n\
         export default { fetch: () => new Response(`${A}`) };\n",
    );
    let output = project.elias_build(&["src/index.tsx"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("experimentalDecorators") && said.contains("src/index.tsx:2:"),
        "{said}"
    );
}

#[tokio::test]
async fn a_timer_of_the_top_level_is_inert_and_said() {
    let project = Project::new(&[(
        "index.js",
        "let n = 0;\nconst sweep = setInterval(() => { n++; }, 1);\nsweep.unref?.();\n\
         clearTimeout(setTimeout(() => { n++; }, 0));\n\
         const signal = AbortSignal.timeout(1);\n\
         export default { async fetch() { await new Promise((done) => setTimeout(done, 20)); return Response.json([n, \
         signal.aborted]); } };",
    )]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    for wanted in ["timer-at-build", "index.js:2:", "index.js:4:", "index.js:5:"] {
        assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
    }
    let wasm = std::fs::read(project.path("app.wasm")).expect("it was built");
    let server = Server::start(&wasm, &[]);
    assert_eq!(server.get("/").await.json(), serde_json::json!([0, false]));
}

#[tokio::test]
async fn random_values_of_the_top_level_are_a_builds_own_where_that_is_allowed() {
    let source = "const id = crypto.randomUUID();\nconst bytes = [...crypto.getRandomValues(new Uint8Array(8))];\n\
                  const m = Math.random();\n\
                  export default { fetch: () => Response.json([id, bytes, m, crypto.randomUUID(), Math.random()]) };";
    check_failure(&[("index.js", source)], &["random-at-build", "index.js:1:", "random = \"per-build\""]);
    let mut answers: Vec<Value> = Vec::new();
    for _ in 0..2 {
        let project = Project::new(&[("index.js", source), ("elias.toml", "[build]\nrandom = \"per-build\"\n")]);
        let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        for wanted in ["random-per-build", "index.js:1:", "index.js:2:", "index.js:3:"] {
            assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
        }
        let server = Server::start(&std::fs::read(project.path("app.wasm")).expect("it was built"), &[]);
        answers.push(server.get("/").await.json());
        answers.push(server.get("/").await.json());
    }
    let [first, second, other_build] = [&answers[0], &answers[1], &answers[2]];
    for value in 0..3_usize {
        assert_eq!(first[value], second[value], "instances share it");
        assert_ne!(first[value], other_build[value], "builds do not");
    }
    for value in 3..5_usize {
        assert_ne!(first[value], second[value], "what a handler draws is its own");
    }
}

#[test]
fn dependencies_in_the_source_are_those_in_the_component() {
    let source = |version: &str| {
        format!(
            "import x from 'p';\nELIAS.createComponent({{ dependencies: ['p@{version}'], process: (input) => ({{ \
             input, x }}) }});"
        )
    };
    let files = |source: String| {
        Project::new(&[
            ("package.json", r#"{ "name": "named-by-package-json", "version": "1.0.0" }"#),
            ("index.js", source.as_str()),
            ("node_modules/p/package.json", r#"{ "name": "p", "version": "1.2.3", "main": "p.js" }"#),
            ("node_modules/p/p.js", "export default 1;"),
        ])
    };
    let said = |version: &str| {
        let output = files(source(version)).elias_build(&["index.js", "-o", "app.wasm"]);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for version in ["1.2.3", "^1.2.0"] {
        let (built, text) = said(version);
        assert!(built, "{text}");
    }
    let (built, text) = said("1.2.4");
    assert!(!built && text.contains("dependency-mismatch") && text.contains("p 1.2.3 is bundled"), "{text}");
}

#[test]
fn the_line_that_makes_a_capability_needed_is_said() {
    let project = Project::new(&[(
        "src/index.js",
        "import { db } from \"elias\";\n\nconst users = (id) =>\n  db.query(\"select 1\", id);\n\
         export default { fetch: async () => Response.json(await users(1)) };\n",
    )]);
    let output = project.elias_build(&["src/index.js", "-o", "app.wasm"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = project.elias_build(&["inspect", "app.wasm"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("elias:db/db@0.1.0  needed by src/index.js:4:3"), "{shown}");
    let refused = elias_tests::serve::refused(&project.path("app.wasm"), &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("(for src/index.js:4:3)") && said.contains("[capabilities.db]"), "{said}");
}

#[test]
fn after_prepare_a_build_compiles_nothing() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('x') };")]);
    let prepared = project.elias_build(&["prepare", "--cache-dir", "cache"]);
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let kept = || -> Vec<_> {
        let files = std::fs::read_dir(project.path("cache")).expect("the cache is there");
        let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
        names.sort();
        names
    };
    let before = kept();
    assert!(!before.is_empty());
    assert!(project.elias_build(&["index.js", "-o", "app.wasm", "--cache-dir", "cache"]).status.success());
    assert_eq!(kept(), before);
}

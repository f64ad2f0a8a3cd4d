//! `[build] eval` of elias.toml: whether strings can be compiled as code.

use elias_tests::build::Project;
use elias_tests::serve::Server;
use serde_json::json;

/// Every way to compile a string, behind one handler.
const EVERY_WAY: &str = r#"
const AsyncFunction = (async () => {}).constructor;
const GeneratorFunction = (function* () {}).constructor;
const AsyncGeneratorFunction = (async function* () {}).constructor;
class Sub extends Function {}
const local = 1;
const ways = {
  direct: () => { const local = 41; return eval("local + 1"); },
  indirect: () => (0, eval)("typeof local"),
  member: () => globalThis["ev" + "al"]("40 + 2"),
  construct: () => new Function("a", "b", "return a * b")(6, 7),
  call: () => Function("return 42")(),
  prototype: () => (() => {}).constructor("return 42")(),
  reflect: () => Reflect.construct(Function, ["return 42"], Object)(),
  subclass: () => new Sub("return 42")(),
  generator: () => GeneratorFunction("yield 42")().next().value,
  async: () => AsyncFunction("await 0; return 42")(),
  asyncGenerator: async () => (await AsyncGeneratorFunction("yield 42")().next()).value,
  timer: () => new Promise((resolve) => { globalThis.resolve = resolve; setTimeout("resolve(42)", 1); }),
};
let atTopLevel;
try { atTopLevel = new Function("return 42")(); } catch (error) { atTopLevel = error.name; }
export default {
  async fetch(request) {
    const told = { atTopLevel, identity: Function.prototype.constructor === Function && ways.call instanceof Function };
    for (const [name, way] of Object.entries(ways)) {
      try {
        told[name] = await way();
      } catch (error) {
        told[name] = error instanceof EvalError ? error.message : String(error);
      }
    }
    told.value = eval(7);
    return Response.json(told);
  },
};
"#;

#[tokio::test]
async fn eval_is_off_and_the_error_says_how_to_switch_it_on() {
    let server = Server::of(EVERY_WAY, &[]);
    let told = server.get("/").await.json();
    let told = told.as_object().expect("an object");
    for (name, outcome) in told {
        match name.as_str() {
            "atTopLevel" => assert_eq!(outcome, "EvalError"),
            "identity" => assert_eq!(outcome, true),
            "value" => assert_eq!(outcome, 7),
            _ => {
                let message = outcome.as_str().unwrap_or_default();
                assert!(
                    message.contains("elias.toml") && message.contains("[build]") && message.contains("eval = true"),
                    "{name}: {outcome}"
                );
            }
        }
    }
}

#[tokio::test]
async fn eval_works_where_it_is_switched_on() {
    let project = Project::new(&[("index.js", EVERY_WAY), ("elias.toml", "[build]\neval = true\n")]);
    let component = project.build("index.js");
    let inspected = project.elias_build(&["inspect", "app.wasm", "--json"]).stdout;
    let inspected: serde_json::Value = serde_json::from_slice(&inspected).expect("inspect gives JSON");
    assert_eq!(inspected["manifest"]["eval"], true);
    let expected = json!({
        "atTopLevel": 42, "identity": true, "direct": 42, "indirect": "undefined", "member": 42, "construct": 42,
        "call": 42, "prototype": 42, "reflect": 42, "subclass": 42, "generator": 42, "async": 42,
        "asyncGenerator": 42, "timer": 42, "value": 7,
    });
    assert_eq!(Server::start(&component, &[]).get("/").await.json(), expected);
    // elias serve --watch builds as the same file says.
    assert_eq!(Server::of_project(project, "index.js", &["--watch"]).get("/").await.json(), expected);
}

#[tokio::test]
async fn what_only_strings_mention_is_there_with_eval_and_no_capability_is() {
    let source = r#"
        const encode = 'btoa("code")';
        const reach = 'fetch("http://127.0.0.1:1/")';
        export default {
          async fetch(request) {
            const outcome = await Promise.resolve().then(() => eval(reach)).catch((error) => String(error));
            return Response.json([eval(encode), outcome]);
          },
        };
    "#;
    let project = Project::new(&[("index.js", source), ("elias.toml", "[build]\neval = true\n")]);
    let component = project.build("index.js");
    // The word in the string brings the import, and the import needs its grant like any other.
    let folder = project.path("app.wasm");
    let refused = elias_tests::serve::refused(&folder, &["--config", "/dev/null"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("capability-denied"), "{said}");
    project.write("elias.toml", "[build]\neval = true\n[capabilities.http]\nallow = [\"https://a.example\"]\n");
    std::fs::write(&folder, component).expect("writing");
    let told = Server::of_project(project, "app.wasm", &[]).get("/").await.json();
    assert_eq!(told[0], "Y29kZQ==");
    assert!(told[1].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{told}");
}

#[test]
fn a_wrong_table_is_refused() {
    let project =
        Project::new(&[("index.js", "export default { fetch() {} };"), ("elias.toml", "[build]\nevil = 1\n")]);
    let output = project.elias_build(&["index.js", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("\"config\"") && said.contains("evil"), "{said}");
    assert!(!project.elias_build(&["index.js", "--eval", "-o", "app.wasm"]).status.success());
}

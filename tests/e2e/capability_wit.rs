//! Capabilities that an embedder adds, from JavaScript: by a WIT package that `elias-build` is given.

mod echo;

use echo::Echo;
use elias_host::{App, ErrorCode, Grants, Host, Limits, LoadOptions};
use elias_tests::build::{Finish, Project, binary};
use serde_json::{Value, json};
use std::process::{Command, Output};

const WIT: &str = include_str!("capability_wit/values.wit");
const CASES: &str = include_str!("capability_wit/cases.js");

fn project(source: &str) -> Project {
    Project::new(&[("index.js", source), ("wit/values.wit", WIT)])
}

#[track_caller]
fn built(project: &Project, flags: &[&str]) -> Vec<u8> {
    let output = project.elias_build(&[&["index.js", "-o", "app.wasm"][..], flags].concat());
    assert!(output.status.success(), "{}", text(&output));
    std::fs::read(project.path("app.wasm")).expect("it was written")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// With the capability.
fn host() -> Host {
    Host::builder().capability(Echo).build().expect("a host")
}

async fn load(host: &Host, component: &[u8]) -> App {
    let limits = Limits { memory_bytes: 64 << 20, fuel: 50_000_000_000, ..Limits::default() };
    let grants = Grants::none().with("echo", json!({}));
    let given = LoadOptions { grants, limits: Some(limits), ..LoadOptions::default() };
    host.load_with(component, &given).await.expect("it loads")
}

async fn call(app: &App, input: &str) -> Value {
    app.call(&json!(input)).await.unwrap_or_else(|error| panic!("{input}: {error}\n{:?}", error.stack())).value
}

#[tokio::test]
async fn every_type_goes_to_the_host_and_back() {
    let project = project(CASES);
    let app = load(&host(), &built(&project, &["--capability", "wit/values.wit"])).await;
    let names = call(&app, "names").await;
    for name in names.as_array().expect("a list") {
        assert_eq!(call(&app, name.as_str().expect("a name")).await, "passed", "{name}");
    }
}

#[tokio::test]
async fn what_goes_wrong_in_the_host_ends_the_execution_as_ever() {
    let project = project(CASES);
    let app = load(&host(), &built(&project, &["--capability", "wit"])).await;
    let failed = async |input: &str| app.call(&json!(input)).await.expect_err(input);
    let broken = failed("break").await;
    assert_eq!(broken.code(), ErrorCode::Trap, "{broken}");
    assert!(broken.to_string().contains("the host's part is broken"), "{broken}");
    let given = failed("give").await;
    assert_eq!(given.code(), ErrorCode::OutOfMemory, "{given}");
    let too_much = failed("too much").await;
    assert_eq!(too_much.code(), ErrorCode::HostCallTooLarge, "{too_much}");
    assert_eq!(call(&app, "scalars").await, "passed", "the next execution is none the worse");
}

const ONE: &str = r#"
import { echoU8, echoString } from "example:echo/values@1.0.0";
import { neverCalled } from "example:echo/others";
export default { call: (number) => echoU8(number) };
"#;

/// The imports that `inspect` shows.
fn imports(project: &Project) -> Vec<String> {
    let output = project.elias_build(&["inspect", "app.wasm", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["imports"], shown["manifest"]["imports"], "what it says is what it is");
    serde_json::from_value(shown["imports"].clone()).expect("names")
}

#[tokio::test]
async fn a_component_imports_what_it_uses_and_nothing_else() {
    let project = project(ONE);
    let component = built(&project, &["--capability", "wit/values.wit"]);
    let of_echo = |imports: Vec<String>| -> Vec<String> {
        imports.into_iter().filter(|name| name.starts_with("example:")).collect()
    };
    assert_eq!(of_echo(imports(&project)), ["example:echo/values@1.0.0"]);
    let shown = text(&project.elias_build(&["inspect", "app.wasm"]));
    assert!(shown.contains("example:echo/values@1.0.0  needed by index.js:4:"), "{shown}");
    assert!(mentions(&component, "echo-u8"));
    for unused in ["echo-string", "show-u64", "never-called"] {
        assert!(!mentions(&component, unused), "{unused} is in the component");
    }
    assert_eq!(load(&host(), &component).await.call(&json!(7)).await.expect("an answer").value, 7);

    // Types of another interface are imported with what uses them.
    project.write("index.js", ONE.replace("echoU8", "echoPoint"));
    built(&project, &["--capability", "wit/values.wit"]);
    assert_eq!(of_echo(imports(&project)), ["example:echo/types@1.0.0", "example:echo/values@1.0.0"]);

    // An import that is never used is not there, and a capability that is not imported changes no byte.
    project.write("index.js", ONE.replace("echoU8(number)", "number"));
    let unused = built(&project, &["--capability", "wit/values.wit"]);
    assert_eq!(of_echo(imports(&project)), Vec::<String>::new());
    project.write("index.js", "export default { call: (number) => number };");
    let [with, without] = [&["--capability", "wit"][..], &[]].map(|flags| built(&project, flags));
    assert!(with == without, "a capability that nobody imports costs something");
    assert!(unused.len() < with.len() + 1_000);
}

/// Whether a text is in what of a component runs: not in what it says of itself.
fn mentions(component: &[u8], text: &str) -> bool {
    let layout = elias_contract::layout::read(component).expect("a component");
    let manifest = layout.manifest_json.expect("it has one").as_ptr() as usize - component.as_ptr() as usize;
    component[..manifest].windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_line_of_elias_toml_does_what_the_flag_does() {
    let project = project(ONE);
    let by_flag = built(&project, &["--capability", "wit/values.wit"]);
    project.write("elias.toml", "[build]\ncapabilities = [\"wit\"]\n");
    assert!(built(&project, &[]) == by_flag);
    assert!(built(&project, &["--capability", "wit/values.wit"]) == by_flag, "both are one");
}

#[tokio::test]
async fn a_thin_component_has_its_adapter_and_not_the_engine() {
    let project = project(CASES);
    let whole = built(&project, &["--capability", "wit"]);
    let component = built(&project, &["--capability", "wit", "--thin"]);
    // Two thirds of an engine are code; the rest is data, which every image has for itself.
    let engine = elias_build::engine::ENGINE;
    assert!(component.len() + engine.len() / 2 < whole.len(), "{} and {} bytes", component.len(), whole.len());
    let base = elias_build::engine::BASE;
    let host = Host::builder().capability(Echo).engine(engine).base(base).build().expect("a host");
    let app = load(&host, &component).await;
    assert_eq!(call(&app, "compounds").await, "passed");
}

#[tokio::test]
async fn a_host_says_what_it_does_not_give() {
    let project = project(&ONE.replace("echoU8", "echoPoint"));
    let component = built(&project, &["--capability", "wit"]);
    let denied = host().load(&component).await.expect_err("nothing was granted");
    assert_eq!(denied.code(), ErrorCode::CapabilityDenied);
    assert!(denied.to_string().contains("example:echo/values (for index.js:4:"), "{denied}");
    assert!(denied.to_string().ends_with("[capabilities.echo]"), "{denied}");
    let foreign = Host::builder().build().expect("a host").load(&component).await.expect_err("nobody gives it");
    assert_eq!(foreign.code(), ErrorCode::ForeignImport);
    assert!(foreign.to_string().contains("example:echo/values@1.0.0 (for index.js:4:"), "{foreign}");
    assert!(foreign.to_string().contains("no capability of this host"), "{foreign}");
    assert!(!foreign.to_string().contains("example:echo/types"), "types alone need nobody: {foreign}");
}

#[test]
fn the_top_level_calls_no_capability() {
    let project =
        project("import { nothing } from \"example:echo/values\";\nnothing();\nexport default { call() {} };\n");
    let output = project.elias_build(&["index.js", "--capability", "wit"]);
    let said = text(&output);
    assert!(!output.status.success() && said.contains("index.js:2:") && said.contains("use it in a handler"), "{said}");
}

#[test]
fn mistakes_of_imports_are_shown_where_they_are() {
    #[track_caller]
    fn check(source: &str, flags: &[&str], wanted: &[&str]) {
        let project = project(source);
        project.write("wit/odd.wit", "package example:odd;\ninterface odd {\n  open: func() -> stream<u8>;\n}\n");
        let output = project.elias_build(&[&["index.js"][..], flags].concat());
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for wanted in wanted {
            assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
        }
    }
    let import = |what: &str| format!("import {what};\nexport default {{ call: () => [a] }};\n");
    let values = ["--capability", "wit/values.wit"];
    check(
        &import("{ a } from \"example:echo/values\""),
        &values,
        &["missing-export", "index.js:1:", "not exported by \"example:echo/values@1.0.0\""],
    );
    let absent = import("{ a } from \"example:echo/valeus\"");
    check(&absent, &values, &["unresolved-import", "index.js:1:", "example:echo/values"]);
    check(&absent, &[], &["unresolved-import", "index.js:1:", "--capability"]);
    check(&import("a from \"elias:native\""), &values, &["unresolved-import", "index.js:1:", "elias:native"]);
    let odd = import("{ open as a } from \"example:odd/odd\"");
    check(&odd, &["--capability", "wit/odd.wit"], &["unsupported-wit", "wit/odd.wit:3:", "stream", "resources"]);
    check(&absent, &["--capability", "wit/none.wit"], &["cannot read the WIT of", "wit/none.wit"]);
}

#[test]
fn types_are_written_for_typescript() {
    let project = project(ONE);
    let output = project.elias_build(&["types", "--capability", "wit/values.wit", "-o", "values.d.ts"]);
    assert!(output.status.success(), "{}", text(&output));
    let types = std::fs::read_to_string(project.path("values.d.ts")).expect("it was written");
    for line in [
        "declare module \"example:echo/values\" {",
        "  export function echoU8(a: number): number;",
        "  export function echoOption(a?: string | undefined): string | undefined;",
        "  export { break_ as break };",
    ] {
        assert!(types.contains(&format!("{line}\n")), "{line} is missing in:\n{types}");
    }
}

#[test]
fn check_writes_the_types_and_says_what_nobody_gives() {
    let project = project(ONE);
    project.write("elias.toml", "[build]\nentry = \"index.js\"\ncapabilities = [\"wit\"]\n");
    let output = Command::new(binary("elias")).arg("check").current_dir(project.path(".")).finish();
    let said = text(&output.expect("elias starts"));
    assert!(said.contains("error[foreign-import]: the component imports example:echo/values@1.0.0"), "{said}");
    let read = |file: &str| std::fs::read_to_string(project.path(file)).expect("it was written");
    assert!(read(".elias/types/capabilities.d.ts").contains("declare module \"example:echo/values\" {"));
    assert!(read(".elias/tsconfig.json").contains("./types/capabilities.d.ts"));
}

//! Specifications: `elias spec` of files and versions, their OpenAPI documents, and the JSON Schemas in manifests.

use elias_tests::build::Project;
use elias_tests::platform::Platform;
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};

/// A schema as zod, arktype and valibot have it: Standard Schema with the converter of Standard JSON Schema.
const STANDARD: &str = r#"
function schema(input, output = input) {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => ({ value }),
      jsonSchema: { input: ({ target }) => ({ $schema: target, ...input }), output: () => output },
    },
  };
}
"#;

fn specification(terminal: &Terminal, line: &[&str]) -> Value {
    serde_json::from_str(&terminal.types("", &[&["spec"][..], line].concat())).expect("a specification is JSON")
}

/// Writes a component's file into the terminal's folder.
fn build(terminal: &Terminal, file: &str, source: &str) {
    let wasm = Project::new(&[("index.js", source)]).build("index.js");
    std::fs::write(terminal.path(file), wasm).expect("written");
}

#[test]
fn a_file_is_specified_with_the_schemas_of_its_source_and_the_settings_beside_it() {
    let terminal = Terminal::new();
    let source = format!(
        "{STANDARD} export const input = schema({{ type: 'object', properties: {{ n: {{ type: 'number' }} }} }});
         export const output = {{ type: 'number' }};
         export default {{ call: ({{ n }}) => 2 * n, scheduled() {{}} }};"
    );
    build(&terminal, "double.wasm", &source);
    let config = "[limits]\nfuel = 1_000_000\n[[triggers.schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\n";
    std::fs::write(terminal.path("elias.toml"), config).expect("written");
    let made = specification(&terminal, &["double.wasm"]);
    assert_eq!((&made["format"], &made["handlers"]), (&json!(1), &json!(["call", "scheduled"])));
    let schemas = &made["schemas"];
    assert_eq!(schemas["input"]["properties"]["n"]["type"], "number", "{schemas}");
    assert_eq!((&schemas["input"]["$schema"], &schemas["output"]["type"]), (&json!("draft-2020-12"), &json!("number")));
    assert_eq!(
        (&made["limits"]["fuel"], &made["triggers"]["schedule"][0]["name"]),
        (&json!(1_000_000), &json!("nightly"))
    );
    let wasm = std::fs::read(terminal.path("double.wasm")).expect("it is there");
    assert_eq!(made["digests"]["component"], elias_contract::digest(&wasm));
    assert_eq!(specification(&terminal, &["double.wasm"]), made, "the same each time");

    // One that was saved is a specification too, and says what has changed since.
    std::fs::write(terminal.path("saved.json"), made.to_string()).expect("written");
    assert_eq!(specification(&terminal, &["saved.json"]), made);
    std::fs::write(terminal.path("elias.toml"), config.replace("1_000_000", "2_000_000")).expect("written");
    let changes = terminal.types("", &["spec", "--diff", "saved.json", "double.wasm"]);
    assert!(changes.contains("limits.fuel: 1000000 -> 2000000\n"), "{changes}");
    assert!(
        changes.lines().all(|line| line.starts_with("limits.") || line.starts_with("digests.settings")),
        "{changes}"
    );
    assert_eq!(terminal.types("", &["spec", "--diff", "double.wasm", "double.wasm"]), "");
}

#[test]
fn endpoints_become_an_openapi_document() {
    let terminal = Terminal::new();
    let source = format!(
        "import {{ createAPI }} from 'elias/forms'; {STANDARD}
         createAPI({{ endpoint: 'GET /users/:id', params: schema({{ properties: {{ id: {{ type: 'integer' }} }} }}),
           handler: () => 1 }});
         createAPI({{ endpoint: 'POST /users', body: schema({{ type: 'object' }}), query: () => 1,
           handler: () => 1 }});"
    );
    build(&terminal, "api.wasm", &source);
    let document = specification(&terminal, &["api.wasm", "--openapi"]);
    assert_eq!(document["openapi"], "3.1.0");
    let user = &document["paths"]["/users/{id}"]["get"]["parameters"][0];
    assert_eq!(
        (&user["name"], &user["in"], &user["schema"]["type"]),
        (&json!("id"), &json!("path"), &json!("integer"))
    );
    let body = &document["paths"]["/users"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["type"], "object");
}

#[test]
fn what_json_schema_cannot_say_is_a_warning_and_what_is_too_large_an_error() {
    let source = |input: &str| format!("export const input = {input}; export default {{ call: (n) => n }};");
    let throws = source("{ '~standard': { jsonSchema: { input() { throw new Error('no dates here'); } } } }");
    let output = Project::new(&[("index.js", &throws)]).elias_build(&["index.js", "-o", "a.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("schema-not-representable"), "{said}");
    assert!(said.contains("no dates here"), "{said}");
    let large = source("{ type: 'string', description: 'x'.repeat(70_000) }");
    let output = Project::new(&[("index.js", &large)]).elias_build(&["index.js", "-o", "a.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("too-large"), "{said}");
    // Another export of that name is the author's own matter.
    let own = Project::new(&[("index.js", &source("{ name: 'x' }"))]).elias_build(&["index.js", "-o", "a.wasm"]);
    assert!(own.status.success() && !String::from_utf8_lossy(&own.stderr).contains("schema"));
}

#[tokio::test]
async fn a_version_of_a_platform_is_specified_and_compared() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let terminal = Terminal::new();
    let (url, data) = (format!("http://{}", platform.admin_address), platform.data("").display().to_string());
    terminal.types("", &["login", &url, "--data-dir", &data]);
    let wasm = Project::new(&[("index.js", "export default { fetch: () => new Response('') };")]).build("index.js");
    let routes = json!({ "routes": [{ "path": "/items/{id}", "methods": ["GET"] }] });
    team.version("shop", &wasm, json!({ "gateway": routes })).await;
    team.version("shop", &wasm, json!({ "gateway": routes, "limits": { "fuel": 5_000_000 } })).await;
    let first = specification(&terminal, &["shop@1"]);
    assert_eq!(first, team.done("GET", "/components/shop/versions/1/spec", Value::Null).await);
    assert_eq!(first["digests"]["component"], elias_contract::digest(&wasm));
    let changes = terminal.types("", &["spec", "--diff", "shop@1", "shop@2"]);
    assert!(changes.contains("limits.fuel: nothing -> 5000000\n"), "{changes}");
    let document = team.done("GET", "/components/shop/versions/1/openapi", Value::Null).await;
    assert_eq!(document["paths"]["/items/{id}"]["get"]["parameters"][0]["name"], "id", "{document}");
    assert_eq!(team.refused("GET", "/components/shop/versions/9/spec", Value::Null).await.0, "not-found");
}

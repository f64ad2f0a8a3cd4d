//! `env`: what the operator gives a component.

use elias_tests::build::{Project, component};
use elias_tests::serve::{Server, refused};

const READER: &str = r#"
export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === "/log") {
      console.log("the token is " + env.token, { env: { ...env } });
      return new Response("logged");
    }
    if (new URL(request.url).pathname === "/throw") throw new Error("failed with " + env.token.length);
    return Response.json({ keys: Object.keys(env), greeting: env.greeting, port: env.port, token: env.token,
      none: env.none ?? null });
  },
};
"#;

#[tokio::test]
async fn values_come_from_the_file_the_environment_and_secret_files() {
    let project = Project::new(&[("secrets/token", "s3cret-token\n")]);
    project.write("app.wasm", component(READER));
    project.write(
        "elias.toml",
        "[capabilities.config]\ngreeting = \"hello\"\nport = { default = 80, env = \"ELIAS_TEST_PORT\", \
         type = \"number\" }\n\
         token = { file = \"secrets/token\", secret = true }\n",
    );
    let server = Server::of_project(project, "app.wasm", &["--dev"]);
    let answer = server.get("/").await.json();
    let wanted = serde_json::json!({
        "keys": ["greeting", "port", "token"], "greeting": "hello", "port": 80, "token": "s3cret-token", "none": null,
    });
    assert_eq!(answer, wanted);
    let log = server.logged("a secret was read").await;
    assert!(log.contains("\"key\":\"token\""), "{log}");
    let logged = server.get("/log").await;
    assert_eq!(logged.body, "logged");
    server.logged("the token is [redacted]").await;
    // ATTACKS 17: the secret itself is in no log and no error page.
    let page = server.get("/throw").await;
    assert_eq!(page.code(), "exception");
    server.logged("Uncaught").await;
    assert!(!page.body.contains("s3cret") && !server.log().contains("s3cret"), "{}", page.body);
}

#[tokio::test]
async fn that_a_secret_is_read_is_told_once_of_an_execution() {
    let project = Project::new(&[("token", "s3cret-token")]);
    let source = "export default { fetch(request, env) { for (let i = 0; i < 5_000; i++) env.token; \
                  return new Response(env.token); } };";
    project.write("app.wasm", component(source));
    project.write("elias.toml", "[capabilities.config]\ntoken = { file = \"token\", secret = true }\n");
    let server = Server::of_project(project, "app.wasm", &[]);
    for _ in 0..2 {
        assert_eq!(server.get("/").await.body, "s3cret-token");
    }
    let log = server.logged_times("a secret was read", 2).await;
    assert_eq!(log.lines().filter(|line| line.contains("a secret was read")).count(), 2, "{log}");
}

#[test]
fn a_missing_value_is_noticed_when_the_component_is_loaded() {
    let project = Project::new(&[("elias.toml", "[capabilities.config]\ntoken = { env = \"ELIAS_TEST_NO_SUCH\" }\n")]);
    project.write("app.wasm", component(READER));
    let config = project.path("elias.toml");
    let output = refused(&project.path("app.wasm"), &["--config", config.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[bad-configuration]") && said.contains("token: set ELIAS_TEST_NO_SUCH"), "{said}");
}

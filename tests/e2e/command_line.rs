//! From `elias init` to a component, as a developer goes: dev, a mistake and its repair, check, test, build.

use elias_tests::build::{Finish, Project, binary};
use elias_tests::serve::Server;
use std::path::Path;
use std::process::{Command, Output};

fn elias(root: &Path, arguments: &[&str]) -> Output {
    Command::new(binary("elias")).args(arguments).current_dir(root).env_remove("CI").finish().expect("elias starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn succeeds(root: &Path, arguments: &[&str]) -> String {
    let output = elias(root, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

#[track_caller]
fn fails(root: &Path, arguments: &[&str]) -> String {
    let output = elias(root, arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded: {}", said(&output));
    said(&output)
}

/// The page as a browser has it when everything in it was loaded.
async fn page(server: &Server, path: &str) -> String {
    let browser = std::env::var("ELIAS_TEST_BROWSER").expect("toolchain/setup/with-services.sh names a browser");
    let output = tokio::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("http://{}{path}", server.address))
        .output();
    let output = tokio::time::timeout(elias_tests::serve::PATIENCE, output).await.expect("the browser ends");
    String::from_utf8_lossy(&output.expect("the browser starts").stdout).into_owned()
}

/// A page that is loaded only when its picture is, which takes so long: enough for a script to change the page.
fn slow_page(text: &str, picture_ms: u32) -> String {
    format!(
        r#"
        const html = `<!doctype html><title>t</title><h1>{text}</h1><img src="/picture">`;
        export default {{
          async fetch(request) {{
            if (new URL(request.url).pathname !== "/picture") {{
              return new Response(html, {{ headers: {{ "content-type": "text/html" }} }});
            }}
            await new Promise((resolve) => setTimeout(resolve, {picture_ms}));
            return new Response(null, {{ status: 404 }});
          }},
        }};
        "#
    )
}

#[tokio::test]
async fn a_new_project_goes_through_dev_a_mistake_test_and_build() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    succeeds(folder.path(), &["init", "my-app"]);
    let root = folder.path().join("my-app");
    let source = root.join("src/index.ts");
    let good = std::fs::read_to_string(&source).expect("init wrote it");

    let server = Server::develop(&root, &[]);
    assert!(page(&server, "/?name=Ada").await.contains("<h1>Hello, Ada!</h1>"));
    std::fs::write(&source, good.replace("new Response(`", "new Response(`<p>changed</p>")).expect("writing");
    server.logged_times("serving the new version", 2).await;
    assert!(server.get("/").await.body.contains("changed"));
    std::fs::write(&source, good.replace("fetch(request) {", "fetch(request) {{")).expect("writing");
    server.logged("the last working version keeps serving").await;
    assert!(server.get("/").await.body.contains("changed"));
    assert!(server.log().contains("src/index.ts:"), "{}", server.log());
    std::fs::write(&source, &good).expect("writing");
    server.logged_times("serving the new version", 3).await;
    assert!(!server.get("/").await.body.contains("changed"));
    drop(server);

    assert!(succeeds(&root, &["check"]).contains("my-app 0.1.0 builds"));
    assert!(succeeds(&root, &["test"]).contains("2 passed in 1 files"));
    let built = succeeds(&root, &["build", "-o", "dist/my-app.wasm"]);
    assert!(built.contains("dist/my-app.wasm"), "{built}");
    let server = Server::start(&std::fs::read(root.join("dist/my-app.wasm")).expect("it was built"), &[]);
    assert!(server.get("/?name=%3Cb%3E").await.body.contains("Hello, &lt;b&gt;!"));
}

#[tokio::test]
async fn a_project_in_javascript_is_served_with_its_changes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    succeeds(folder.path(), &["init", "my-app", "--language=javascript"]);
    let root = folder.path().join("my-app");
    assert!(!root.join("src/index.ts").exists() && !root.join("test/index.test.ts").exists());
    let source = root.join("src/index.js");
    let good = std::fs::read_to_string(&source).expect("init wrote it");
    assert!(good.contains("<title>my-app</title>"), "{good}");

    let server = Server::develop(&root, &["--watch"]);
    assert!(server.get("/?name=Ada").await.body.contains("Hello, Ada!"));
    std::fs::write(&source, good.replace("Hello, ", "Welcome, ")).expect("writing");
    server.logged_times("serving the new version", 2).await;
    assert!(server.get("/?name=Ada").await.body.contains("Welcome, Ada!"));
    drop(server);
    assert!(succeeds(&root, &["check"]).contains("my-app 0.1.0 builds"));
}

#[test]
fn exit_codes_are_those_that_the_help_states() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let help = succeeds(folder.path(), &["--help"]);
    assert!(help.contains("\nDeploy:\n") && help.contains("\nExit codes:\n"), "{help}");
    assert!(succeeds(folder.path(), &["dev", "--help"]).contains("\n  elias dev --watch\n"));
    assert_eq!(elias(folder.path(), &["inspect", "missing.wasm"]).status.code(), Some(1));
    assert_eq!(elias(folder.path(), &["init", "my-app", "--language=cobol"]).status.code(), Some(2));
}

#[test]
fn every_template_passes_its_tests() {
    for language in ["javascript", "typescript"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for template in ["hello", "api", "worker", "schedule", "event"] {
            succeeds(folder.path(), &["init", template, "--template", template, "--language", language]);
            let told = succeeds(&folder.path().join(template), &["test"]);
            assert!(told.contains("passed in 1 files"), "{language}, {template}: {told}");
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(fails(folder.path(), &["init", "My App"]).contains("error[bad-name]"));
}

#[test]
fn init_adds_to_a_project_what_it_lacks() {
    let project = Project::new(&[
        ("package.json", r#"{ "name": "mine", "version": "2.0.0" }"#),
        ("src/index.js", "export default { fetch: () => new Response('mine') };"),
        (".gitignore", "target/\n"),
    ]);
    let root = project.path("");
    let told = succeeds(&root, &["init", "."]);
    assert!(told.contains("as they were: .gitignore, package.json") && told.contains(".elias/"), "{told}");
    assert_eq!(std::fs::read_to_string(root.join(".gitignore")).expect("it is there"), "target/\n");
    assert!(root.join("elias.toml").is_file() && root.join("tsconfig.json").is_file());
    assert!(!root.join("src/index.ts").exists() && !root.join("test").exists());
    assert!(succeeds(&root, &["check"]).contains("mine 2.0.0 builds"));
    // A second time there is nothing to do.
    let before = std::fs::read_to_string(root.join("elias.toml")).expect("it is there");
    succeeds(&root, &["init", "."]);
    assert_eq!(std::fs::read_to_string(root.join("elias.toml")).expect("it is there"), before);
}

#[test]
fn check_refuses_what_serve_refuses_and_says_it_as_build_does() {
    let project = Project::new(&[("src/index.js", "export default { fetch: (_, env) => new Response(env.token) };")]);
    let root = project.path("");
    project
        .write("elias.toml", "[capabilities.config]\ntoken = { env = \"NOT_SET\", secret = true, default = \"x\" }\n");
    assert!(fails(&root, &["check"]).contains("a secret cannot have a default"));
    project.write("elias.toml", "");
    for handler in ["queue", "email"] {
        project.write(
            "src/index.js",
            format!("export default {{ fetch: () => new Response(), async {handler}() {{}} }};"),
        );
        for command in [&["check"][..], &["build", "-o", "x.wasm"]] {
            let told = fails(&root, command);
            assert!(told.contains("unknown-handler") && told.contains(handler), "{command:?}: {told}");
        }
    }
    project.write(
        "src/index.js",
        "import 'nowhere-a';\nimport 'nowhere-b';\nexport default { fetch: () => new Response() };",
    );
    let (built, checked) = (fails(&root, &["build"]), fails(&root, &["check"]));
    assert_eq!(built.trim(), checked.trim());
    assert!(built.contains("nowhere-a") && built.contains("nowhere-b"), "{built}");
}

#[tokio::test]
async fn dotenv_has_the_values_of_development() {
    let project = Project::new(&[
        (
            "src/index.js",
            "const url = process.env.API_URL;\nexport default { fetch: (_, env) => Response.json([env.token, \
             env.plain, url]) };",
        ),
        (".env", "TOKEN_OF_DEV=\"from dotenv\"\nPLAIN_OF_DEV=1\nAPI_URL=https://api.example\n"),
        (".env.local", "PLAIN_OF_DEV=2\n"),
        (
            "elias.toml",
            "[build]\nenv = [\"API_URL\"]\n[capabilities.config]\ntoken = { env = \"TOKEN_OF_DEV\", secret = true }\n\
             plain = { env = \"PLAIN_OF_DEV\" }\n",
        ),
    ]);
    let server = Server::develop(&project.path(""), &[]);
    server.logged("serving the new version").await;
    assert_eq!(server.get("/").await.json(), serde_json::json!(["from dotenv", "2", "https://api.example"]));
}

#[tokio::test]
async fn the_overlay_shows_the_mistake_and_goes_with_it() {
    let project = Project::new(&[("src/index.js", &slow_page("one", 5000))]);
    let server = Server::develop(&project.path(""), &[]);
    let whole = page(&server, "/").await;
    assert!(whole.contains("<h1>one</h1>") && !whole.contains("elias-overlay"), "{whole}");
    project.write("src/index.js", "export default { fetch() { return <b> } };");
    server.logged("the last working version keeps serving").await;
    let broken = page(&server, "/").await;
    assert!(broken.contains("<h1>one</h1>") && broken.contains("<elias-overlay>"), "{broken}");
    assert!(broken.contains("src/index.js:1:"), "{broken}");
    project.write("src/index.js", slow_page("two", 2000));
    server.logged_times("serving the new version", 2).await;
    let whole = page(&server, "/").await;
    assert!(whole.contains("<h1>two</h1>") && !whole.contains("elias-overlay"), "{whole}");
}

#[tokio::test]
async fn a_page_is_loaded_again_after_a_change() {
    // The first page is not whole before it is loaded again, however long the build takes.
    let project = Project::new(&[("src/index.js", &slow_page("before", 25_000))]);
    let server = Server::develop(&project.path(""), &[]);
    let browsing = page(&server, "/");
    let saving = async {
        // The page has been answered. Its script hears of the change, or of the new version when it first listens.
        server.logged("\"path\":\"/\"").await;
        project.write("src/index.js", slow_page("after", 0));
    };
    let (seen, ()) = tokio::join!(browsing, saving);
    assert!(seen.contains("<h1>after</h1>"), "{seen}");
}

#[tokio::test]
async fn only_pages_in_development_have_the_script() {
    let source = r#"
        export default {
          fetch(request) {
            const json = new URL(request.url).pathname === "/json";
            return new Response(json ? "{}" : "<p>page</p>",
              { headers: { "content-type": json ? "application/json" : "text/html" } });
          },
        };
    "#;
    let html = || http::Request::get("/").header("accept", "text/html");
    let server = Server::of(source, &["--dev"]);
    assert!(server.send(html(), "/", "").await.body.contains("/__elias/live.js"));
    assert_eq!(server.send(html(), "/json", "").await.body, "{}");
    assert_eq!(server.get("/").await.body, "<p>page</p>");
    assert!(server.get("/__elias/live.js").await.body.contains("EventSource"));
    let server = Server::of(source, &[]);
    assert_eq!(server.send(html(), "/", "").await.body, "<p>page</p>");
    assert_eq!(server.get("/__elias/live.js").await.body, "<p>page</p>");
}

#[tokio::test]
async fn a_grant_that_was_missing_is_taken_when_it_is_written() {
    let project = Project::new(&[(
        "src/index.ts",
        "import { cache } from \"elias\";\nexport default { fetch: async () => new Response(`${await \
         cache.increment(\"n\")}`) };\n",
    )]);
    let server = Server::develop(&project.path(""), &[]);
    let log = server.logged("capability-denied").await;
    assert!(log.contains("[capabilities.cache]"), "{log}");
    project.write("elias.toml", "[capabilities.cache]\n");
    server.logged("serving the new version").await;
    assert_eq!(server.get("/").await.body, "1");
}

const TESTED: &str = r#"
    export const add = (a, b) => a + b;
    export default {
      async fetch(request, env, ctx) {
        const { pathname } = new URL(request.url);
        if (pathname === "/spin") for (;;);
        if (pathname === "/users") return fetch("https://api.example.com/users?page=1");
        if (pathname === "/token") return new Response(env.TOKEN);
        console.warn("asked for", pathname);
        return new Response(pathname);
      },
    };
"#;
const TESTS: &str = r#"
    import { afterEach, app, beforeAll, describe, expect, fake, it, vi } from "elias/test";
    import { add } from "../src/index.js";

    let state = 0;
    beforeAll(() => { state = 10; });

    describe("sums", () => {
      it.each([[1, 2, 3], [2, 2, 4]])("%i and %i", (a, b, sum) => expect(add(a, b)).toBe(sum));
      it("differs", () => expect({ list: [add(1, 1)] }).toEqual({ list: [3] }));
    });
    it("has state of its own", () => expect(++state).toBe(11));
    it("has it again", () => expect(++state).toBe(11));
    it("fakes the network", async () => {
      fake.http("GET https://api.example.com/users", [{ id: 1 }]);
      expect(await (await app.fetch("/users")).json()).toEqual([{ id: 1 }]);
      expect(fake.http.requests.map(({ url }) => url)).toEqual(["https://api.example.com/users?page=1"]);
    });
    it("refuses what is not faked",
      () => expect(app.fetch("/users")).rejects.toThrow("the test has no answer to that"));
    it("fakes configuration and log", async () => {
      fake.config({ TOKEN: "secret" });
      expect(await (await app.fetch("/token")).text()).toBe("secret");
      await app.fetch("/x");
      expect(fake.log.lines).toMatchObject([{ level: "warn", message: "asked for /x" }]);
    });
    it("moves time", () => {
      vi.useFakeTimers({ now: 0 });
      const ring = vi.fn();
      setTimeout(ring, 60_000);
      vi.advanceTimersByTime(60_000);
      expect(ring).toHaveBeenCalledOnce();
      expect(Date.now()).toBe(60_000);
    });
    it("keeps snapshots", () => expect({ sum: add(1, 2) }).toMatchSnapshot());
    it("spins", () => app.fetch("/spin"));
    it("is given up", () => new Promise(() => setTimeout(() => {}, 5000)), 30);
    it.skip("is left out", () => expect(1).toBe(2));
    it.todo("is to be written");
    it.fails("is known to fail", () => expect(1).toBe(2));
"#;

#[test]
fn tests_run_in_the_engine_and_failures_show_their_lines() {
    let project = Project::new(&[
        ("src/index.js", TESTED),
        ("test/index.test.js", TESTS),
        ("elias.toml", "[limits]\nfuel = 400_000_000\n[capabilities.http]\nallow = [\"https://api.example.com\"]\n"),
    ]);
    let root = project.path("");
    let told = fails(&root, &["test"]);
    for wanted in [
        "3 failed, 10 passed, 1 skipped, 1 todo in 1 files",
        "sums > differs",
        "test/index.test.js:10:",
        "out-of-fuel",
        "the test took longer than 30 ms",
        "1 snapshot written",
    ] {
        assert!(told.contains(wanted), "{wanted} is missing in {told}");
    }

    // The reference that was written once is compared, and an update writes it anew.
    let changed = TESTS.replace("{ sum: add(1, 2) }", "{ sum: add(2, 2) }");
    project.write("test/index.test.js", &changed);
    let only = ["test", "-t", "keeps snapshots"];
    assert!(fails(&root, &only).contains("elias test --update"));
    succeeds(&root, &["test", "-t", "keeps snapshots", "--update"]);
    succeeds(&root, &only);
    let snapshots =
        std::fs::read_to_string(project.path("test/__snapshots__/index.test.js.snap")).expect("it was written");
    assert!(snapshots.contains("\"sum\": 4"), "{snapshots}");

    // Where nobody looks, nothing new is taken for right.
    std::fs::remove_dir_all(project.path("test/__snapshots__")).expect("removing");
    let output = Command::new(binary("elias")).args(only).current_dir(&root).env("CI", "true").finish();
    let output = output.expect("elias starts");
    assert!(
        !output.status.success() && said(&output).contains("does not exist; write it with: elias test --update"),
        "{}",
        said(&output)
    );

    let output = elias(&root, &["test", "--reporter", "junit"]);
    let xml = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(xml.contains("tests=\"15\"") && xml.contains("failures=\"3\""), "{xml}");
    let output = elias(&root, &["test", "--reporter", "json", "-t", "sums"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json[0]["tests"][0]["state"], "passed", "{json}");
}

#[test]
fn tests_that_cannot_be_run_say_why() {
    let project = Project::new(&[("src/index.js", "export default { fetch: () => new Response() };")]);
    let root = project.path("");
    assert!(fails(&root, &["test"]).contains("error[no-tests]"));
    project.write("a.test.js", "import { it } from \"elias/test\";\nit(\"x\", () => { let = ; });\n");
    let told = fails(&root, &["test"]);
    assert!(told.contains("a.test.js:2:") && told.contains("1 files could not be run"), "{told}");
    project.write("a.test.js", "import { describe } from \"elias/test\";\n");
    assert!(fails(&root, &["test"]).contains("declares no test"));
    project.write("a.test.js", "import { it } from \"elias/test\";\nit(\"x\", () => {});\n");
    succeeds(&root, &["test"]);
    assert!(fails(&root, &["test", "other"]).contains("whose path contains other"));
}

#[test]
fn check_finds_what_would_not_load_and_what_does_not_fit() {
    let project = Project::new(&[
        ("package.json", "{ \"name\": \"checked\", \"version\": \"1.0.0\" }"),
        (
            "src/index.js",
            "import { cache } from \"elias\";\nexport default { fetch: async () => new Response(await \
             cache.get(\"x\")) };\n",
        ),
    ]);
    let root = project.path("");
    let told = fails(&root, &["check"]);
    assert!(told.contains("capability-denied") && told.contains("[capabilities.cache]"), "{told}");
    project.write("elias.toml", "[capabilities.cache]\n");
    let told = succeeds(&root, &["check"]);
    assert!(told.contains("checked 1.0.0 builds") && told.contains("elias:cache/cache"), "{told}");
    project.write("src/index.js", "export default { fetch( };\n");
    assert!(fails(&root, &["check"]).contains("src/index.js:1:"));
}

#[test]
fn what_is_built_needs_elias_build_beside_elias_serve() {
    let project = Project::new(&[("index.js", "export default { call: () => 1 };")]);
    let program = project.path("elias-serve");
    // Not by this process: one that another test starts meanwhile would have the file open, which then cannot be run.
    let copied = Command::new("cp").arg(binary("elias-serve")).arg(&program).status().expect("cp starts");
    assert!(copied.success());
    let output = Command::new(&program).args(["check", "index.js"]).current_dir(project.path("")).finish();
    let output = output.expect("elias-serve starts");
    assert!(!output.status.success());
    let said = said(&output);
    assert!(said.contains("error[missing-program]") && said.contains("elias-build"), "{said}");
}

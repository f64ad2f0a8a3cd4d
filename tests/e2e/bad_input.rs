//! Files that are not what they claim to be: each a clear error with its code, and no panic.

use elias_contract::layout::EngineBinding;
use elias_host::{ErrorCode, Host};
use elias_tests::build::{Project, component};
use elias_tests::serve::{Server, refused};

/// Serves `bytes` as a component and gives the code that it is refused with.
fn code(bytes: &[u8]) -> String {
    let project = Project::new(&[]);
    project.write("app.wasm", bytes);
    let output = refused(&project.path("app.wasm"), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let code = said.lines().find_map(|line| line.strip_prefix("error[")?.split(']').next());
    code.unwrap_or_else(|| panic!("no code in {said}")).to_owned()
}

#[test]
fn errors_when_a_file_is_no_component() {
    let whole = component("export default { fetch: () => new Response('x') };");
    assert_eq!(code(b""), "bad-component");
    assert_eq!(code(b"#!/bin/sh\n"), "bad-component");
    assert_eq!(code(&whole[..whole.len() / 2]), "bad-component");
    assert_eq!(code(&whole[..9]), "bad-component");
    let module = wat::parse_str("(module)").expect("valid text");
    assert_eq!(code(&module), "bad-component");
    // A linear congruential sequence (Knuth's constants) in place of chance, so that a failure can be repeated.
    let mut state = 1_u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(10_000)
    .collect();
    assert_eq!(code(&random), "bad-component");
    assert_eq!(code(&[b"\0asm\x0d\0\x01\0", &random[..]].concat()), "bad-component");
}

#[test]
fn errors_when_a_component_imports_what_is_not_there() {
    let foreign = wat::parse_str(
        r#"(component
            (import "acme:rockets/launch@1.0.0" (instance $l (export "go" (func))))
            (core module $m (func (export "call")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "call")))
            (export "elias:component/call@0.1.0" (func $f)))"#,
    );
    assert_eq!(code(&foreign.expect("valid text")), "foreign-import");
    let nothing = wat::parse_str("(component)").expect("valid text");
    assert_eq!(code(&nothing), "missing-export");
}

#[test]
fn a_component_with_one_flipped_byte_is_refused() {
    let whole = component("export default { fetch: () => new Response('x') };");
    // Within the engine the digest tells; elsewhere validation or the manifest may.
    let layout = elias_contract::layout::read(&whole).expect("it is one of ours");
    let Some(EngineBinding::Carried { section, .. }) = layout.engine else { panic!("it carries its engine") };
    let mut engine = whole.clone();
    engine[usize::midpoint(section.start, section.end)] ^= 1;
    assert_eq!(code(&engine), "engine-mismatch");
    let manifest = whole.windows(15).position(|window| window == b"elias:manifest{").expect("it has a manifest");
    let mut altered = whole.clone();
    altered[manifest + 16] ^= 1;
    assert_eq!(code(&altered), "bad-component");
}

#[test]
fn a_thin_component_with_an_unknown_engine_is_refused() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('thin') };")]);
    let output = project.elias_build(&["index.js", "--thin", "-o", "app.wasm"]);
    assert!(output.status.success());
    let thin = std::fs::read(project.path("app.wasm")).expect("it was written");
    let text = b"elias:engine/e";
    let at = thin.windows(text.len()).position(|window| window == text).expect("it imports its engine") + text.len();
    let digest = thin[at..at + 64].to_vec();
    let mut other = thin.clone();
    let flipped = if digest[0] == b'0' { b'1' } else { b'0' };
    // Import and manifest agree on an engine that nobody has.
    for start in 0..other.len() - 64 {
        if other[start..start + 64] == digest[..] {
            other[start] = flipped;
        }
    }
    assert_eq!(code(&other), "unknown-engine");
}

#[tokio::test]
async fn works_when_a_thin_component_meets_its_engine() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('thin') };")]);
    let output = project.elias_build(&["index.js", "--thin", "-o", "app.wasm"]);
    assert!(output.status.success());
    let thin = std::fs::read(project.path("app.wasm")).expect("it was written");
    assert!(thin.len() < 60_000, "{} bytes", thin.len());
    assert_eq!(Server::start(&thin, &[]).get("/").await.body, "thin");
}

#[tokio::test]
async fn a_thin_component_whose_base_the_host_does_not_have_is_refused() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('thin') };")]);
    assert!(project.elias_build(&["index.js", "--thin", "-o", "app.wasm"]).status.success());
    let thin = std::fs::read(project.path("app.wasm")).expect("it was written");
    let shown = project.elias_build(&["inspect", "app.wasm", "--json"]).stdout;
    let shown: serde_json::Value = serde_json::from_slice(&shown).expect("JSON");
    let digest = shown["base"].as_str().expect("it names its base");
    let at = thin.windows(64).rposition(|window| window == digest.as_bytes()).expect("it is in the component");
    let mut other = thin.clone();
    other[at] = if thin[at] == b'0' { b'1' } else { b'0' };
    assert_eq!(code(&other), "unknown-base");
    other[at] = b'G';
    assert_eq!(code(&other), "bad-component");
    let without = Host::builder().engine(elias_build::engine::ENGINE).build().expect("a host");
    let refused = without.load(&thin).await.expect_err("no base was given");
    assert_eq!(refused.code(), ErrorCode::UnknownBase);
}

#[test]
fn compiled_code_in_the_cache_that_was_altered_is_not_run() {
    let project = Project::new(&[("index.js", "export default { fetch: () => new Response('x') };")]);
    project.write("app.wasm", project.build("index.js"));
    let cache = project.path("cache");
    let cache = cache.to_str().expect("UTF-8");
    let serve = || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(Server::start_file(&project.path("app.wasm"), &["--cache-dir", cache], folder));
    };
    serve();
    for file in std::fs::read_dir(cache).expect("it was made").flatten() {
        let mut bytes = std::fs::read(file.path()).expect("reading");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file.path(), bytes).expect("writing");
    }
    serve(); // had altered code been run, this would crash or worse
}

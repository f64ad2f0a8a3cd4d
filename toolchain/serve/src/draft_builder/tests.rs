use super::*;
use serde_json::json;

/// A child that is a shell script: what is tested is how its end is read.
fn script(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

async fn run_script(text: &str) -> std::result::Result<(Option<Bytes>, Vec<Value>), Code> {
    run(script(text), Duration::from_secs(600), 100).await.map_err(|error| error.code())
}

#[tokio::test]
async fn the_end_of_a_build_says_what_became_of_it() {
    let built = run_script(r#"printf '{"wasm-bytes":3,"diagnostics":[]}\nabc'"#).await;
    assert_eq!(built, Ok((Some(Bytes::from_static(b"abc")), Vec::new())));
    let failed = run_script(r#"printf '{"wasm-bytes":null,"diagnostics":[{"code":"x"}]}\n'"#).await;
    assert_eq!(failed, Ok((None, vec![json!({ "code": "x" })])));
    for (text, code) in [
        ("kill -XCPU $$", Code::BuildLimit),
        ("kill -ABRT $$", Code::BuildLimit),
        ("yes | head -c 8000000", Code::BuildLimit),
        ("exit 3", Code::Internal),
        ("exit 1", Code::Internal),
        ("true", Code::Internal),
        (r#"printf '{"wasm-bytes":5,"diagnostics":[]}\nabc'"#, Code::Internal),
    ] {
        assert_eq!(run_script(text).await, Err(code), "{text}");
    }
}

/// Without any patience nothing is measured: the child has no output, and has not ended.
#[tokio::test]
async fn a_build_that_never_ends_is_ended() {
    let error = run(script("exec sleep 100000"), Duration::ZERO, 100).await.expect_err("it does not end");
    assert_eq!(error.code(), Code::BuildLimit);
}

#[test]
fn diagnostics_are_flat_bounded_and_name_no_folder_of_the_host() {
    let folder = Path::new("/data/builds/x");
    let related = json!({ "code": "b", "message": "y".repeat(2 * TEXT_BYTES_MAX) });
    let told = json!({
        "severity": "error", "code": "a", "message": "in /data/builds/x/src/a.ts", "file": "/data/builds/x/src/a.ts",
        "line": 3, "column": 5, "label": null, "help": null, "related": [related],
    });
    let read = read_diagnostics(vec![told], folder);
    assert_eq!(read.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((read[0].message.as_str(), read[0].file.as_deref()), ("in src/a.ts", Some("src/a.ts")));
    assert_eq!((read[0].line, read[0].column, read[1].message.len()), (Some(3), Some(5), TEXT_BYTES_MAX));
    let many = vec![json!({ "code": "a" }); 2 * DIAGNOSTICS_MAX];
    assert_eq!(read_diagnostics(many, folder).len(), DIAGNOSTICS_MAX);
}

#[test]
fn migrations_and_assets_go_with_the_version() {
    let names =
        ["migrations/1.sql", "migrations/old/0.sql", "migrations/x.md", "public/a/b.css", "public/.env", "src/a.ts"];
    let files: BTreeMap<String, String> = names.map(|name| (name.to_owned(), "x".to_owned())).into();
    let mut config = ConfigFile::default();
    assert!(version_files(&config, &files).is_empty());
    config.capabilities.insert("db".to_owned(), json!({ "migrations": "./migrations/" }));
    config.gateway = Some(json!({ "assets": { "folder": "public" } }));
    let belonging: Vec<_> = version_files(&config, &files).into_keys().collect();
    assert_eq!(belonging, ["migrations/1.sql", "public/a/b.css"]);
}

#[test]
fn the_folder_of_a_build_stays_until_nobody_works_in_it() {
    let parent = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = write(parent.path(), &BTreeMap::from([("a/b".to_owned(), "1".to_owned())])).expect("written");
    let builds = Arc::new(Semaphore::new(1));
    let running = Arc::clone(&builds).try_acquire_owned().expect("nobody builds");
    let folder = Arc::new(BuildFolder::new(folder, running));
    let path = folder.path().to_owned();
    let working = Arc::clone(&folder);
    runtime.block_on(async { drop(folder) });
    assert!(path.join("a/b").exists(), "somebody works in it");
    assert_eq!(builds.available_permits(), 0, "it is still a build");
    runtime.block_on(async { drop(working) });
    // It ends when its threads have.
    drop(runtime);
    assert_eq!(std::fs::read_dir(parent.path()).expect("the folder").count(), 0, "nothing is left");
    assert_eq!(builds.available_permits(), 1);
}

/// Its name is in the component of a draft without a package.json, and in the code of an `index.js` in the root.
#[test]
fn all_drafts_are_built_in_folders_of_one_name() {
    let parent = tempfile::tempdir().expect("a folder");
    let builds = Arc::new(Semaphore::new(2));
    let name = || {
        let folder = write(parent.path(), &BTreeMap::from([("index.js".to_owned(), "1".to_owned())])).expect("written");
        let running = Arc::clone(&builds).try_acquire_owned().expect("two at a time");
        let folder = BuildFolder::new(folder, running);
        assert!(folder.path().join("index.js").exists());
        folder.path().file_name().map(ToOwned::to_owned)
    };
    assert_eq!(name(), name());
}

#[tokio::test]
async fn a_build_more_than_the_host_does_at_a_time_is_refused() {
    let builder = ChildBuilder::new(Path::new("/none"), None, 1, None);
    let all = u32::try_from(RUNNING_MAX).expect("it fits");
    let _others = Arc::clone(&builder.running).try_acquire_many_owned(all).expect("nobody builds");
    let refused = builder.build(&BTreeMap::new()).await.expect_err("there is no room");
    assert_eq!(refused.code(), Code::Component(ErrorCode::Overloaded));
}

#[test]
fn a_draft_starts_from_a_template() {
    let builder = ChildBuilder::new(Path::new("/none"), None, 1, None);
    let name: ComponentName = "shop".parse().expect("a name");
    for template in ["hello", "hono", "api", "worker", "schedule", "event"] {
        let files = builder.template(template, &name).expect(template);
        assert!(files["package.json"].contains("\"name\": \"shop\""), "{template}");
        elias_api::check_draft_files(&files).expect(template);
        assert!(settings(Path::new("/none"), &BTreeMap::new()).is_ok());
    }
    assert!(builder.template("none", &name).is_none());
}

//! The files that a project may take into its component, and those that it may not.

use super::{BundleOptions, bundle, project};
use crate::bundle::Bundle;
use crate::diagnostic::BuildError;
use std::path::{Path, PathBuf};

/// Bundles `app/index.js` of a folder, with further roots.
fn run(folder: &Path, roots: &[&str]) -> Result<Bundle, BuildError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(bundle(&BundleOptions {
        entry: "index.js".into(),
        cwd: folder.join("app"),
        roots: roots.iter().map(PathBuf::from).collect(),
        ..BundleOptions::default()
    }))
}

const SECRET: &[u8] = b"export default 'the secret of the disk'";

/// The files of a folder, and beside `app` a file with a secret.
fn with_secret(files: &[(&str, &str)]) -> tempfile::TempDir {
    let mut all: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let secrets: [(&str, &[u8]); 3] = [
        ("secret.js", SECRET),
        ("secret.json", b"{\"the secret of the disk\": oops"),
        ("secret.txt", b"the secret of the disk"),
    ];
    all.extend(secrets);
    project(&all)
}

#[track_caller]
fn refused(folder: &tempfile::TempDir, expect: &[&str]) {
    let error = run(folder.path(), &[]).map(|bundle| bundle.code).expect_err("it is outside");
    let text = error.render(false);
    assert_eq!(error.code(), "outside-project", "{text}");
    assert!(!text.contains("secret of the disk"), "a line of a file outside in\n{text}");
    for part in expect {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[test]
fn files_outside_are_refused() {
    for specifier in [
        "../secret.js",
        "../secret.json",
        "../secret.txt",
        "../secret.js?raw",
        "../secret.bin?bytes",
        "./deep/../../secret.js",
    ] {
        let text = format!("import x from {specifier:?}; export default x");
        let folder = with_secret(&[("app/index.js", text.as_str()), ("secret.bin", "x")]);
        refused(&folder, &["lies outside of the project", "[index.js:1:", "roots = [\"..\"]"]);
    }
    let folder = with_secret(&[("app/index.js", "")]);
    let absolute = folder.path().join("secret.js");
    for specifier in [absolute.display().to_string(), format!("file://{}", absolute.display())] {
        std::fs::write(folder.path().join("app/index.js"), format!("import x from {specifier:?}; export default x"))
            .expect("it can be written");
        let error = run(folder.path(), &[]).map(|bundle| bundle.code).expect_err("it is outside");
        assert!(["outside-project", "unresolved-import"].contains(&error.code()), "{}", error.render(false));
    }
    let folder = with_secret(&[("app/index.js", "import x from './link.js'; export default x")]);
    std::os::unix::fs::symlink("../secret.js", folder.path().join("app/link.js")).expect("a link");
    refused(&folder, &["lies outside of the project"]);
    let folder = with_secret(&[("app/index.js", "export default () => import('./folder/secret.js')")]);
    std::os::unix::fs::symlink("..", folder.path().join("app/folder")).expect("a link");
    refused(&folder, &["lies outside of the project"]);
    let folder = with_secret(&[
        ("app/index.ts", ""),
        ("app/index.js", "import './typed.ts'"),
        ("app/typed.ts", "import x from '@shared/secret'; console.log(x)"),
        ("app/tsconfig.json", r#"{"compilerOptions":{"paths":{"@shared/*":["../*"]}}}"#),
    ]);
    refused(&folder, &["lies outside of the project", "[typed.ts:1:"]);
}

#[test]
fn packages_get_nothing_from_outside() {
    let package = r#"{"name":"p","version":"1.0.0","main":"m.js"}"#;
    for specifier in ["../../../secret.js", "../../../secret.txt"] {
        let text = format!("export {{ default }} from {specifier:?}");
        let folder = with_secret(&[
            ("app/index.js", "import x from 'p'; export default x"),
            ("app/node_modules/p/package.json", package),
            ("app/node_modules/p/m.js", text.as_str()),
        ]);
        refused(&folder, &["lies outside of the project", "[node_modules/p/m.js:1:", "Look at that package"]);
    }
    let folder = with_secret(&[
        ("app/index.js", "import x from 'p'; export default x"),
        ("app/node_modules/p/package.json", r#"{"name":"p","main":"../../../secret.js"}"#),
    ]);
    refused(&folder, &["lies outside of the project"]);
    // Text of the project's own files is nothing for a package either: `.env` is one.
    let folder = with_secret(&[
        ("app/index.js", "import x from 'p'; export default x"),
        ("app/.env", "TOKEN=the secret of the disk"),
        ("app/node_modules/p/package.json", package),
        ("app/node_modules/p/m.js", "export { default } from '../../.env?raw'"),
    ]);
    refused(&folder, &[".env is not a file of the package"]);
}

#[test]
fn roots_let_files_in() {
    let folder = with_secret(&[
        (
            "app/index.js",
            "import x from '../shared/x.js'; import text from '../shared/page.html'; export default [x, text]",
        ),
        ("shared/x.js", "export default 'shared'"),
        ("shared/page.html", "<p>shared</p>"),
    ]);
    refused(&folder, &["shared"]);
    let built = run(folder.path(), &["../shared"]).expect("they are let in");
    assert_eq!(built.outside, ["../shared/page.html", "../shared/x.js"]);
    assert!(built.code.contains("<p>shared</p>"), "{}", built.code);
    let error = run(folder.path(), &["../nowhere"]).expect_err("it is not there");
    assert!(error.code() == "config" && error.to_string().contains("../nowhere"), "{error}");
    assert!(run(folder.path(), &["../app"]).is_err());
}

#[test]
fn workspaces_go_on_working() {
    // npm: one node_modules for all, with links to the members.
    let folder = with_secret(&[
        ("package.json", r#"{"private":true,"workspaces":["app","packages/*"]}"#),
        ("app/index.js", "import x from 'x'; import y from '@s/y'; import z from 'z'; export default [x, y, z]"),
        ("packages/x/package.json", r#"{"name":"x","main":"src/x.js"}"#),
        ("packages/x/src/x.js", "export default 'member x'"),
        ("packages/y/package.json", r#"{"name":"@s/y","main":"y.js"}"#),
        ("packages/y/y.js", "export default 'member y'"),
        ("node_modules/z/package.json", r#"{"name":"z","main":"z.js"}"#),
        ("node_modules/z/z.js", "export default 'hoisted z'"),
    ]);
    std::fs::create_dir_all(folder.path().join("node_modules/@s")).expect("a folder");
    std::os::unix::fs::symlink("../packages/x", folder.path().join("node_modules/x")).expect("a link");
    std::os::unix::fs::symlink("../../packages/y", folder.path().join("node_modules/@s/y")).expect("a link");
    let built = run(folder.path(), &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
    for part in ["member x", "member y", "hoisted z"] {
        assert!(built.code.contains(part), "{part} in\n{}", built.code);
    }
    // pnpm: a link into the store beside it, and to a member.
    let folder = with_secret(&[
        ("pnpm-workspace.yaml", "packages: ['app', 'packages/*']"),
        ("app/index.js", "import x from 'x'; import z from 'z'; export default [x, z]"),
        ("packages/x/package.json", r#"{"name":"x","main":"x.js"}"#),
        ("packages/x/x.js", "export default 'member x'"),
        ("node_modules/.pnpm/z@1.0.0/node_modules/z/package.json", r#"{"name":"z","main":"z.js"}"#),
        ("node_modules/.pnpm/z@1.0.0/node_modules/z/z.js", "export default 'stored z'"),
    ]);
    std::fs::create_dir_all(folder.path().join("app/node_modules")).expect("a folder");
    std::os::unix::fs::symlink("../../packages/x", folder.path().join("app/node_modules/x")).expect("a link");
    let store = "../../node_modules/.pnpm/z@1.0.0/node_modules/z";
    std::os::unix::fs::symlink(store, folder.path().join("app/node_modules/z")).expect("a link");
    let built = run(folder.path(), &[]).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert!(built.code.contains("member x") && built.code.contains("stored z"), "{}", built.code);
    // A link to anywhere is not a workspace.
    let folder = with_secret(&[
        ("app/index.js", "import x from 'linked/secret.js'; export default x"),
        ("app/package.json", "{}"),
        ("app/node_modules/.keep", ""),
    ]);
    std::os::unix::fs::symlink("../..", folder.path().join("app/node_modules/linked")).expect("a link");
    refused(&folder, &["lies outside of the project"]);
}

#[test]
fn a_package_json_that_cannot_be_read_is_said() {
    let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    let folder = with_secret(&[
        ("app/index.js", "import x from 'p'; export default x"),
        ("app/node_modules/p/package.json", deep.as_str()),
        ("app/node_modules/p/index.js", "export default 1"),
    ]);
    let error = run(folder.path(), &[]).map(|bundle| bundle.code).expect_err("it nests too deep");
    let text = error.render(false);
    assert!(text.contains("node_modules/p/package.json cannot be read") && !text.contains("report"), "{text}");
    let folder =
        with_secret(&[("app/index.js", "import './a.js'"), ("app/a.js", ""), ("app/package.json", deep.as_str())]);
    if let Err(error) = run(folder.path(), &[]) {
        assert!(error.render(false).contains("package.json cannot be read"), "{}", error.render(false));
    }
}

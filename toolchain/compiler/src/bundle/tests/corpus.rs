//! Programs that must do the same bundled as they do in Node.js: those of toolchain/compiler/tests/corpus.

use super::run_in;
use std::path::Path;
use std::process::Command;

#[test]
fn programs_do_the_same_bundled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let bundles = tempfile::tempdir().expect("a temporary folder");
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        let (name, module) = match name.strip_suffix(".js") {
            Some(name) => (name.to_owned(), format!("{name}.js")),
            None if entry.path().is_dir() => (name.clone(), format!("{name}/index.js")),
            None => continue,
        };
        for (minify, ending) in [(false, "mjs"), (true, "min.mjs")] {
            // The effects of --minify by docs/reference/npm.md: parameters' names, modules that wait, and namespaces.
            if minify && ["dynamic", "names", "waiting"].contains(&name.as_str()) {
                continue;
            }
            let bundle = run_in(&folder, &module, minify).unwrap_or_else(|error| panic!("{}", error.render(false)));
            std::fs::write(bundles.path().join(format!("{name}.{ending}")), bundle.code).expect("it can be written");
            cases += 1;
        }
    }
    assert!(cases > 20, "{cases} bundles");
    let output = Command::new("node")
        .arg(folder.join("run.mjs"))
        .arg(bundles.path())
        .env("NODE_ENV", "production")
        .output()
        .expect("node starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

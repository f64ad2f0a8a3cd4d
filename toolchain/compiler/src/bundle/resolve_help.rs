//! Remedies for a file or package that is not found.

use crate::web;
use std::path::Path;

/// Node.js's built-in modules that are not here, and what stands in for each.
const MISSING: [(&[&str], &str); 8] = [
    (&["fs"], "There is no file system. Import the file as JSON or as a module, or keep data in `db` or `cache`."),
    (&["tls", "dgram", "dns", "http2"], "Use the global `fetch`."),
    (&["child_process", "cluster", "worker_threads"], "A component is one thread; use promises, or another component."),
    (&["readline", "repl"], "There is no terminal. Read the request's body, or text that was imported."),
    (&["vm"], "Import the code, so that it is bundled."),
    (&["test"], "`elias/test` has describe, it and expect, and `elias test` runs them in the engine."),
    (&["sqlite"], "Use `db` of the package `elias`."),
    (&["domain", "inspector", "sea", "trace_events", "v8", "wasi"], "Nothing stands in for it."),
];

/// Modules of [`MISSING`] that are Node.js's only with `node:` in front; without it they are packages.
const PREFIXED: [&str; 3] = ["sea", "sqlite", "test"];

/// Whether `specifier` names a built-in module of Node.js that is not here, or a part of one.
pub(super) fn is_missing_builtin(specifier: &str) -> bool {
    let name = specifier.strip_prefix("node:");
    instead_of(name.unwrap_or(specifier)).is_some() && (name.is_some() || !PREFIXED.contains(&specifier))
}

/// The replacement of a built-in that does not exist here.
pub(super) fn instead_of(name: &str) -> Option<&'static str> {
    let root = name.split('/').next().unwrap_or(name);
    // `readline/promises` is a part of a built-in; what else stands behind a slash is a package's.
    let part = name == root || name.ends_with("/promises");
    MISSING.iter().find(|(names, _)| part && names.contains(&root)).map(|(_, instead)| *instead)
}

/// The remedy for `specifier`, which `importer` names and which is not found.
pub(super) fn advise(specifier: &str, importer: &Path, cwd: &Path) -> String {
    if let Some(help) = advise_builtin(specifier) {
        return help;
    }
    let from = importer.parent().unwrap_or(cwd);
    if specifier.starts_with('.') || specifier.starts_with('/') {
        return similar_file(&from.join(specifier), Path::new(specifier)).unwrap_or_default();
    }
    if specifier.contains(':') {
        return "Only files and npm packages can be imported. Install it as a package or copy the file.".to_owned();
    }
    if specifier.starts_with(web::IMPORTABLE_PREFIX) {
        return format!("There are {}.", web::importable().collect::<Vec<_>>().join(", "));
    }
    let package = package_name(specifier);
    if package != specifier && installed(from).any(|name| name == package) {
        return format!(
            "The package `{package}` is installed, and has no `{}` for components.",
            &specifier[package.len() + 1..]
        );
    }
    if listed(package, from) {
        return format!("`{package}` is in package.json and not installed: run `npm install`.");
    }
    match nearest(package, installed(from)) {
        Some(name) => format!("Did you mean `{name}`? Otherwise run `npm install {package}`."),
        None => format!("Run `npm install {package}`."),
    }
}

fn advise_builtin(specifier: &str) -> Option<String> {
    let name = specifier.strip_prefix("node:").unwrap_or(specifier);
    if name == specifier && !is_missing_builtin(specifier) {
        return None;
    }
    let instead = instead_of(name);
    let missing = format!("`{specifier}` is a module of Node.js, which components do not have.");
    Some(match instead {
        Some(instead) => format!("{missing} {instead}"),
        None => missing,
    })
}

/// "@scope/name" or "name" of a specifier such as "name/sub/path".
pub(super) fn package_name(specifier: &str) -> &str {
    let parts = if specifier.starts_with('@') { 2 } else { 1 };
    specifier.match_indices('/').nth(parts - 1).map_or(specifier, |(end, _)| &specifier[..end])
}

/// Whether `specifier` names a package, and one that `importer` cannot find.
pub(super) fn is_absent_package(specifier: &str, importer: &Path) -> bool {
    let is_package = !specifier.starts_with(['.', '/', '#', '\0']) && !specifier.contains(':');
    let from = importer.parent().unwrap_or(importer);
    is_package && !installed(from).any(|name| name == package_name(specifier))
}

/// The names of the packages that code in `from` can import.
fn installed(from: &Path) -> impl Iterator<Item = String> {
    from.ancestors().map(|directory| directory.join("node_modules")).flat_map(|modules| {
        file_names(&modules).flat_map(move |name| {
            if name.starts_with('@') {
                file_names(&modules.join(&name)).map(|inner| format!("{name}/{inner}")).collect()
            } else {
                vec![name]
            }
        })
    })
}

/// Whether a package.json at or above `from` asks for the package.
fn listed(package: &str, from: &Path) -> bool {
    from.ancestors()
        .filter_map(|directory| std::fs::read(directory.join("package.json")).ok())
        .filter_map(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .any(|manifest| {
            ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"]
                .iter()
                .any(|kind| manifest.get(kind).is_some_and(|packages| packages.get(package).is_some()))
        })
}

/// "Did you mean" for a path that is not there; `shown` is how the author wrote it.
pub(super) fn similar_file(path: &Path, shown: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let directory = path.parent()?;
    if !directory.is_dir() {
        let above = shown.parent().filter(|above| !above.as_os_str().is_empty())?;
        return Some(format!("There is no directory `{}`.", above.display()));
    }
    // "./util" may mean util.ts: compare without extensions too.
    let stem = |name: &str| name.split_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let names: Vec<String> = file_names(directory).collect();
    let name = nearest(wanted, names.iter().filter(|name| *name != wanted).cloned()).or_else(|| {
        let near = nearest(&stem(wanted), names.iter().map(|name| stem(name)))?;
        names.iter().find(|name| stem(name) == near).cloned()
    })?;
    Some(format!("Did you mean `{}`?", sibling(shown, &name)))
}

/// The usual entry in a directory that was given as the entry.
pub(super) fn entry_inside(directory: &Path, shown: &Path) -> Option<String> {
    let usual = ["index.ts", "index.tsx", "index.js", "index.mjs", "src/index.ts", "src/index.js"];
    let name = usual.iter().find(|name| directory.join(name).is_file())?;
    Some(format!("Name a file. Did you mean `{}`?", shown.join(name).display()))
}

/// `shown` with another file name, keeping a leading "./", which `Path` would drop.
fn sibling(shown: &Path, name: &str) -> String {
    let shown = shown.to_string_lossy();
    match shown.rsplit_once('/') {
        Some((directory, _)) => format!("{directory}/{name}"),
        None => name.to_owned(),
    }
}

fn file_names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.starts_with('.'))
}

/// The candidate that a typing error could have turned into `wanted`.
pub(super) fn nearest(wanted: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let limit = (wanted.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|name| (strsim::damerau_levenshtein(wanted, &name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

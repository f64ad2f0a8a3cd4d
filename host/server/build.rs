//! Embeds the files of the web console, which `make console` builds into `host/console/dist`: a table of paths, media
//! types, entity tags and bytes: those of the compressed form where it is beside a file as `FILE.br`.
//!
//! Without them the server is built all the same, and says at /console/ how to get them: whoever works on something
//! else needs no Node.js.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The media type of each kind of file that Vite writes.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../console/dist");
    // Cargo takes a folder that is missing for changed at every build, and would compile this crate each time.
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    println!("cargo:rerun-if-changed={}", folder.display());
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let mut table = String::from("static FILES: &[File] = &[\n");
    for file in &files {
        let path = file.strip_prefix(&folder).expect("it was found there").to_str().expect("Vite writes ASCII names");
        let kind = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        // Former releases made `.gz` files too, which may still be there.
        if matches!(kind, "br" | "gz" | "map") {
            continue;
        }
        let media_type = MEDIA_TYPES.iter().find(|(extension, _)| *extension == kind);
        let media_type = media_type.map_or("application/octet-stream", |(_, media_type)| media_type);
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let _ = writeln!(
            table,
            "    File {{ path: {path:?}, media_type: {media_type:?}, tag: \"{:016x}\", content: {} }},",
            hasher.finish(),
            content(file, kind == "html"),
        );
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("console_files.rs"), table).expect("writing to OUT_DIR");
}

/// The files in a folder and those below it, but for what is hidden, such as Vite's manifest.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            println!("cargo:rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
}

/// The expression for the content of a file: compressed where that form is beside it. Documents are as they are, since
/// the server changes their paths for `elias dev`.
fn content(file: &Path, is_document: bool) -> String {
    let mut name = file.as_os_str().to_owned();
    name.push(".br");
    let compressed = PathBuf::from(name);
    match compressed.exists() && !is_document {
        true => format!("Stored::Brotli(include_bytes!({compressed:?}))"),
        false => format!("Stored::Plain(include_bytes!({file:?}))"),
    }
}

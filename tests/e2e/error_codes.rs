//! Every stable error code is documented, and every documented code exists.
//!
//! The codes are in tables of all crates, of which some are private. The test reads them from the sources, which have
//! them in few forms, so that it does not miss the table of a new crate.

use elias_host::ErrorCode;
use elias_tests::build::root;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A source up to its inline tests.
struct Source {
    path: PathBuf,
    text: String,
}

/// All sources of the crates but those of tests.
fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("a folder of the repository").path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name, "tests" | "node_modules" | "target") {
                    walk(&path, found);
                }
            } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                let mut inline = text
                    .match_indices("#[cfg(test)]\nmod ")
                    .filter(|(at, _)| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
                let end = inline.next().map_or(text.len(), |(at, _)| at);
                found.push(Source { path, text: text[..end].to_owned() });
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["host", "toolchain", "wit"] {
        walk(&root().join(folder), &mut found);
    }
    found
}

fn is_code(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The texts between double quotes that are formed as codes are.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2).filter(|text| is_code(text))
}

/// The lines of each block whose first line is one of these, up to the brace at its indentation.
fn blocks(text: &str, begins: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut end = None;
    for line in text.lines() {
        let indented = line.len() - line.trim_start().len();
        match end {
            Some(at) if indented == at && line.trim() == "}" => end = None,
            Some(_) => found.push(line),
            None if begins(line.trim()) => end = Some(indented),
            None => {}
        }
    }
    found
}

/// The codes of one source: of the tables that macros make enums of, of the functions that return an error's code, of
/// constants, and of literals in the command line's failures, which has a table for them.
fn codes(text: &str) -> BTreeSet<&str> {
    let is_comment = |line: &&str| line.trim().starts_with("//");
    let is_table =
        |line: &str| matches!(line, "elias_contract::error_codes! {" | "crate::error_codes! {" | "problems! {");
    // A row is `Variant = "code", ...` or `Variant => "code",`. Titles do not have the form of a code, and messages are
    // in attributes.
    let rows = blocks(text, is_table).into_iter().filter(|line| !is_comment(line) && !line.trim().starts_with('#'));
    let in_table = rows.filter_map(|line| line.split_once(" = ").or_else(|| line.split_once(" => ")));
    let returns_code = |line: &str| line.contains("fn code(") && line.contains("-> &'static str {");
    let in_function = blocks(text, returns_code).into_iter().filter(|line| !is_comment(line));
    let in_constant = text.lines().filter(|line| line.contains("const CODE: &'static str = ")).flat_map(quoted);
    let calls = text.split("Failure::new(").skip(1).map(str::trim_start);
    let in_call = calls.filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).filter(|text| is_code(text));
    let in_table = in_table.flat_map(|(_, value)| quoted(value));
    in_table.chain(in_function.flat_map(quoted)).chain(in_constant).chain(in_call).collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).expect("a page of the documentation")
}

/// The codes between backticks.
fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').filter(|text| is_code(text))
}

/// The codes in the first column of a page's tables.
fn in_tables(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next()).flat_map(in_backticks).collect()
}

#[test]
fn every_code_is_documented() {
    let sources = sources();
    let mut found = BTreeMap::new();
    for source in &sources {
        for code in codes(&source.text) {
            found.entry(code).or_insert(&source.path);
        }
    }
    // The scan finds what it has to.
    for code in ErrorCode::ALL {
        assert!(found.contains_key(code.as_str()), "{code} of the host is not found in the sources");
    }
    for (code, of) in [("no-route", "gateway"), ("above-ceiling", "platform"), ("connection-stalled", "server")] {
        assert!(found.contains_key(code), "{code} of the {of} is not found in the sources");
    }
    for (code, of) in [("timer-at-build", "build"), ("no-platform", "command line"), ("malformed-signature", "wit")] {
        assert!(found.contains_key(code), "{code} of the {of} is not found in the sources");
    }

    // The gateway's codes are on a page of their own, to which the page of errors leads.
    let (errors, gateway) = (page("reference/errors.md"), page("reference/gateway.md"));
    let documented: BTreeSet<_> = in_tables(&errors).into_iter().chain(in_backticks(&gateway)).collect();
    let missing: Vec<_> = found.iter().filter(|(code, _)| !documented.contains(*code)).collect();
    assert!(missing.is_empty(), "docs/reference/errors.md does not have these codes: {missing:#?}");
}

#[test]
fn every_documented_code_exists() {
    let sources = sources();
    let literals: BTreeSet<&str> = sources.iter().flat_map(|source| quoted_anywhere(&source.text)).collect();
    let errors = page("reference/errors.md");
    let unknown: Vec<_> = in_tables(&errors).into_iter().filter(|code| !literals.contains(code)).collect();
    assert!(unknown.is_empty(), "no source has these codes of docs/reference/errors.md: {unknown:?}");
}

/// The texts in double quotes of each line: quotes within a text of several lines do not shift those of the next.
fn quoted_anywhere(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('"').filter(|text| is_code(text)))
}

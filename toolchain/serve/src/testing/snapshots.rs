//! Snapshot files, in vitest's format: ``exports[`name`] = `text`;``, sorted by name, in `__snapshots__` beside the
//! test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const HEADER: &str = "// Snapshots of elias test; written by elias test --update.\n";

/// The snapshots of one test file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshots {
    known: BTreeMap<String, String>,
    /// Those that a test asked for.
    used: BTreeMap<String, String>,
}

/// Where the snapshots of `test` are.
pub(super) fn path_of(test: &Path) -> PathBuf {
    let name = test.file_name().unwrap_or_default().to_string_lossy();
    test.with_file_name("__snapshots__").join(format!("{name}.snap"))
}

impl Snapshots {
    /// Reads the file, which need not be there.
    ///
    /// # Errors
    /// If it cannot be read, or is not of this format.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let known = parse(&text).ok_or_else(|| {
            format!("{} is not a snapshot file; delete it, and write it again with elias test --update", path.display())
        })?;
        Ok(Self { known, used: BTreeMap::new() })
    }

    /// Those of a test, by name.
    pub(super) fn known(&self) -> &BTreeMap<String, String> {
        &self.known
    }

    /// Notes what a test compared.
    pub(super) fn take(&mut self, key: String, text: String) {
        self.used.insert(key, text);
    }

    /// How many are new and changed, and how many no test asked for.
    pub(super) fn differences(&self) -> (usize, usize) {
        let written = self.used.iter().filter(|(key, text)| self.known.get(*key) != Some(*text)).count();
        (written, self.known.keys().filter(|key| !self.used.contains_key(*key)).count())
    }

    /// Writes the file: with `update` what tests asked for and nothing else, without what is new beside what was there.
    pub(super) fn write(&self, path: &Path, update: bool) -> std::io::Result<()> {
        let mut all = if update { BTreeMap::new() } else { self.known.clone() };
        all.extend(self.used.iter().map(|(key, text)| (key.clone(), text.clone())));
        if all.is_empty() {
            return if path.exists() { std::fs::remove_file(path) } else { Ok(()) };
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, render(&all))
    }
}

fn render(all: &BTreeMap<String, String>) -> String {
    let mut text = HEADER.to_owned();
    for (key, value) in all {
        let (open, close) = if value.contains('\n') { ("\n", "\n") } else { ("", "") };
        text.push_str(&format!("\nexports[`{}`] = `{open}{}{close}`;\n", escape(key), escape(value)));
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('`', "\\`").replace("${", "\\${")
}

fn parse(text: &str) -> Option<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while let Some(at) = rest.find("exports[`") {
        let (key, after) = literal(&rest[at + "exports[".len()..])?;
        let (value, after) = literal(after.strip_prefix("] = ")?)?;
        let value = match value.strip_prefix('\n').and_then(|value| value.strip_suffix('\n')) {
            Some(inner) => inner.to_owned(),
            None => value,
        };
        all.insert(key, value);
        rest = after;
    }
    Some(all)
}

/// A template literal without expressions at the beginning of `text`, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('`')?.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '`' => return Some((value, &text[at + 2..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all: BTreeMap<String, String> =
            [("a > b 1", "one"), ("`c` ${d} \\ 1", "Object {\n  \"x\": `\\n`,\n}"), ("e 1", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
        assert_eq!(parse(&render(&all)), Some(all));
        assert_eq!(parse("exports[`a"), None);
    }

    #[test]
    fn an_update_leaves_out_what_no_test_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path_of(&folder.path().join("x.test.ts"));
        let mut first = Snapshots::default();
        first.take("a 1".into(), "A".into());
        first.take("b 1".into(), "B".into());
        first.write(&path, false).expect("writing");
        let mut second = Snapshots::read(&path).expect("reading");
        second.take("a 1".into(), "AA".into());
        assert_eq!(second.differences(), (1, 1));
        second.write(&path, true).expect("writing");
        let third = Snapshots::read(&path).expect("reading");
        assert_eq!(third.known().len(), 1);
        assert_eq!(third.known()["a 1"], "AA");
    }
}

//! Advisories from a file or a folder: what is listed is bounded, and its fingerprint says whether it has changed.

use super::advisory::AdvisorySet;
use super::error::{Error, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The bounds of what is read. All of npm's advisories are some 250,000 files of 700 MB.
#[derive(Clone, Copy)]
struct Bounds {
    files: usize,
    bytes: u64,
    depth: usize,
}

const BOUNDS: Bounds = Bounds { files: 500_000, bytes: 2 << 30, depth: 16 };

/// The files of advisories in a folder, or one file: listed, not yet read.
pub struct AdvisoryFiles(Vec<FileFingerprint>);

impl AdvisoryFiles {
    /// Lists a file, or all files `*.json` and `*.jsonl` in a folder and the folders in it, except those that begin
    /// with a dot. At most 500,000 files with 2 GiB, 16 folders deep.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one cannot be read; `too-large`.
    pub fn list(path: &Path) -> Result<Self> {
        list(path, BOUNDS).map(Self)
    }

    /// A number that differs once a file was added, removed or written to.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    /// Reads the advisories.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one is malformed or not an advisory.
    pub fn read(&self) -> Result<AdvisorySet> {
        read(&self.0)
    }
}

impl AdvisorySet {
    /// Reads what [`AdvisoryFiles::list`] finds.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one is missing, malformed or not an advisory; `too-large`.
    pub fn read(path: &Path) -> Result<Self> {
        AdvisoryFiles::list(path)?.read()
    }
}

/// A file, with what tells that it has changed.
#[derive(Hash, PartialEq, Eq, PartialOrd, Ord)]
struct FileFingerprint {
    path: PathBuf,
    bytes: u64,
    modified: Option<std::time::SystemTime>,
}

fn cannot(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::BadInput(format!("the advisories {}: {error}", path.display()))
}

fn list(path: &Path, bounds: Bounds) -> Result<Vec<FileFingerprint>> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let mut visit = |path: PathBuf, depth: usize, named: bool, folders: &mut Vec<(PathBuf, usize)>| -> Result<()> {
        // Links are followed: what is mounted is often one.
        let metadata = std::fs::metadata(&path).map_err(|error| cannot(&path, error))?;
        if metadata.is_dir() {
            if depth > bounds.depth {
                return Err(cannot(&path, format_args!("it is more than {} folders deep", bounds.depth)));
            }
            folders.push((path, depth));
            return Ok(());
        }
        let is_json = path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl");
        if named || is_json {
            files.push(FileFingerprint { path, bytes: metadata.len(), modified: metadata.modified().ok() });
        }
        if files.len() > bounds.files {
            let message = format!("there are more than {} files of advisories", bounds.files);
            return Err(Error::TooLarge(message));
        }
        Ok(())
    };
    visit(path.to_owned(), 0, true, &mut folders)?;
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| cannot(&folder, error))? {
            let entry = entry.map_err(|error| cannot(&folder, error))?;
            // Those are a version control's, or what a mount keeps for itself.
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                visit(entry.path(), depth + 1, false, &mut folders)?;
            }
        }
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    if bytes > bounds.bytes {
        let message = format!("the advisories have {bytes} bytes; at most {} are read", bounds.bytes);
        return Err(Error::TooLarge(message));
    }
    files.sort_unstable();
    Ok(files)
}

fn read(files: &[FileFingerprint]) -> Result<AdvisorySet> {
    let mut set = AdvisorySet::default();
    for file in files {
        let bytes = std::fs::read(&file.path).map_err(|error| cannot(&file.path, error))?;
        set.add(&bytes).map_err(|error| cannot(&file.path, error))?;
    }
    if set.unreadable_ranges() > 0 {
        tracing::warn!(
            ranges = set.unreadable_ranges(),
            "advisories have version ranges that cannot be parsed; they apply to all versions"
        );
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &Path, bounds: Bounds) -> Option<&'static str> {
        list(path, bounds).and_then(|files| read(&files)).err().map(|error| error.code())
    }

    #[test]
    fn a_folder_is_read_whole_and_within_its_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        let about = |id: &str| {
            format!(
                r#"{{"id":"{id}","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"versions":["1.0.0"]}}]}}"#
            )
        };
        write("one.json", &about("A"));
        write("2024/01/many.jsonl", &format!("{}\n{}\n", about("B"), about("C")));
        write("list.json", &format!("[{}]", about("D")));
        write("README.md", "no advisory");
        write(".git/x.json", "no advisory");
        assert_eq!(AdvisorySet::read(folder.path()).expect("read").len(), 4);
        assert_eq!(AdvisorySet::read(&folder.path().join("one.json")).expect("read").len(), 1);
        let small = |files, bytes, depth| code(folder.path(), Bounds { files, bytes, depth });
        assert_eq!(small(3, 10_000, 16), None);
        assert_eq!(small(2, 10_000, 16), Some("too-large"));
        assert_eq!(small(3, 100, 16), Some("too-large"));
        assert_eq!(small(3, 10_000, 1), Some("bad-input"));
        assert_eq!(code(&folder.path().join("none.json"), BOUNDS), Some("bad-input"));
        for malformed in ["{", "[{]", "[]]", "{}", "7", r#"{"id":"A","affected":7}"#, r#"{"vulns":[]}"#] {
            write("one.json", malformed);
            let error = AdvisorySet::read(folder.path()).expect_err(malformed);
            assert_eq!(error.code(), "bad-input", "{malformed}");
            assert!(error.to_string().contains("one.json"), "{error}");
        }
    }
}

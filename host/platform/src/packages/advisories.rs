//! The host's advisories: a file or a folder that somebody else keeps up to date, read again when it has changed.

use super::advisory::AdvisorySet;
use crate::error::{Code, Error, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// For so long what was found is not looked for again: a folder may have a hundred thousand files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is read at most. All of npm's advisories are some 250,000 files of 700 MB.
#[derive(Clone, Copy)]
struct Bounds {
    files: usize,
    bytes: u64,
    depth: usize,
}

const BOUNDS: Bounds = Bounds { files: 500_000, bytes: 2 << 30, depth: 16 };

/// Advisories that follow their file or folder.
pub(crate) struct Advisories {
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Instant,
    print: u64,
    set: Arc<AdvisorySet>,
    /// Why what is there now is not in `set`.
    problem: Option<Error>,
}

impl Advisories {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one is missing, malformed or no advisory, or there is none about npm; `too-large`.
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        let (print, set) = blocking(path.clone(), |path| {
            let files = list(path, BOUNDS)?;
            Ok((print(&files), read_some(path, &files)?))
        })
        .await?;
        let seen = Seen { at: Instant::now(), print, set: Arc::new(set), problem: None };
        Ok(Self { path, seen: Mutex::new(seen) })
    }

    /// The advisories as they are now. While they cannot be read, those of before hold, and the log says so.
    pub(crate) async fn now(&self) -> Arc<AdvisorySet> {
        Arc::clone(&self.look().await.set)
    }

    /// What there is, for the doctor.
    ///
    /// # Errors
    /// Why they could not be read again.
    pub(crate) async fn examine(&self) -> Result<String> {
        let seen = self.look().await;
        match &seen.problem {
            Some(problem) => Err(Error::new(problem.code(), format!("{problem}; those read before hold"))),
            None => Ok(format!("{} of {}", seen.set.len(), self.path.display())),
        }
    }

    async fn look(&self) -> tokio::sync::MutexGuard<'_, Seen> {
        // Whoever comes meanwhile waits for what is read now.
        let mut seen = self.seen.lock().await;
        if seen.at.elapsed() < LOOK_EVERY {
            return seen;
        }
        let known = seen.print;
        let found = blocking(self.path.clone(), move |path| {
            let files = list(path, BOUNDS)?;
            let print = print(&files);
            Ok((print, (print != known).then(|| read_some(path, &files))))
        });
        match found.await {
            Ok((_, None)) => {}
            Ok((print, Some(read))) => {
                seen.print = print;
                seen.take(read);
            }
            Err(error) => {
                // Whatever comes back is to be read.
                seen.print = 0;
                seen.take(Err(error));
            }
        }
        seen.at = Instant::now();
        seen
    }
}

impl Seen {
    fn take(&mut self, read: Result<AdvisorySet>) {
        match read {
            Ok(set) => {
                tracing::info!(advisories = set.len(), "advisories were reloaded");
                self.set = Arc::new(set);
                self.problem = None;
            }
            Err(error) => {
                if self.problem.is_none() {
                    tracing::error!(%error, "advisories cannot be read; the ones read before still apply");
                }
                self.problem = Some(error);
            }
        }
    }
}

impl AdvisorySet {
    /// Those of a file, or of all files `*.json` and `*.jsonl` in a folder and the folders in it. At most 500,000 files with 2 GiB are read.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one is missing, malformed or no advisory; `too-large`.
    pub fn read(path: &Path) -> Result<Self> {
        read(&list(path, BOUNDS)?)
    }
}

/// A file, with what tells that it has changed.
#[derive(Hash, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    path: PathBuf,
    bytes: u64,
    modified: Option<std::time::SystemTime>,
}

fn cannot(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(Code::BadInput, format!("the advisories {}: {error}", path.display()))
}

fn list(path: &Path, bounds: Bounds) -> Result<Vec<Found>> {
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
            files.push(Found { path, bytes: metadata.len(), modified: metadata.modified().ok() });
        }
        if files.len() > bounds.files {
            let message = format!("there are more than {} files of advisories", bounds.files);
            return Err(Error::new(Code::TooLarge, message));
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
        return Err(Error::new(Code::TooLarge, message));
    }
    files.sort_unstable();
    Ok(files)
}

fn print(files: &[Found]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}

fn read(files: &[Found]) -> Result<AdvisorySet> {
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

/// The same for a host, which is not to go on as if nothing were wrong with any package because a folder is empty.
fn read_some(path: &Path, files: &[Found]) -> Result<AdvisorySet> {
    let set = read(files)?;
    if set.is_empty() {
        return Err(cannot(path, "it must contain an advisory about npm"));
    }
    Ok(set)
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.unwrap_or_else(|panic| Err(Error::new(Code::Internal, format!("reading advisories: {panic}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &Path, bounds: Bounds) -> Option<Code> {
        list(path, bounds).and_then(|files| read(&files)).err().map(|error| error.code())
    }

    /// Waits until the folder is looked at again and found good, or not.
    async fn examined_until(advisories: &Advisories, is_good: bool) {
        for _ in 0..1_000 {
            if advisories.examine().await.is_ok() == is_good {
                return;
            }
            tokio::time::sleep(LOOK_EVERY / 10).await;
        }
        panic!("the folder is not looked at again");
    }

    #[tokio::test]
    async fn a_folder_that_is_emptied_takes_nothing_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.json");
        assert!(Advisories::open(folder.path().to_owned()).await.is_err(), "it is empty");
        let text = r#"{"id":"A","affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.0.0"]}]}"#;
        std::fs::write(&path, text).expect("written");
        let advisories = Advisories::open(folder.path().to_owned()).await.expect("it has one");
        std::fs::remove_file(&path).expect("removed");
        examined_until(&advisories, false).await;
        assert_eq!(advisories.now().await.len(), 1, "what was read before holds");
        std::fs::write(&path, text.replace("\"A\"", "\"B\"")).expect("written");
        examined_until(&advisories, true).await;
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
        assert_eq!(small(2, 10_000, 16), Some(Code::TooLarge));
        assert_eq!(small(3, 100, 16), Some(Code::TooLarge));
        assert_eq!(small(3, 10_000, 1), Some(Code::BadInput));
        assert_eq!(code(&folder.path().join("none.json"), BOUNDS), Some(Code::BadInput));
        for malformed in ["{", "[{]", "[]]", "{}", "7", r#"{"id":"A","affected":7}"#, r#"{"vulns":[]}"#] {
            write("one.json", malformed);
            let error = AdvisorySet::read(folder.path()).expect_err(malformed);
            assert_eq!(error.code(), Code::BadInput, "{malformed}");
            assert!(error.to_string().contains("one.json"), "{error}");
        }
    }
}

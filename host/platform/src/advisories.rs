//! The host's advisories: a file or a folder that the platform's operators keep up to date, read again when it changes.

use elias_advisories::{AdvisoryFiles, AdvisorySet};
use elias_api::{Code, Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The least time between two looks at the files: a folder may have a hundred thousand.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Advisories that follow their file or folder.
pub(crate) struct Advisories {
    path: PathBuf,
    seen: Mutex<AdvisorySnapshot>,
}

struct AdvisorySnapshot {
    at: Instant,
    fingerprint: u64,
    set: Arc<AdvisorySet>,
    /// Why what is there now is not in `set`.
    problem: Option<Error>,
}

impl Advisories {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// `bad-input` with the file's name if one is missing, malformed or no advisory, or there is none about npm;
    /// `too-large`.
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        let (fingerprint, set) = blocking(path.clone(), |path| {
            let files = AdvisoryFiles::list(path)?;
            Ok((files.fingerprint(), read_some(path, &files)?))
        })
        .await?;
        let seen = AdvisorySnapshot { at: Instant::now(), fingerprint, set: Arc::new(set), problem: None };
        Ok(Self { path, seen: Mutex::new(seen) })
    }

    /// The advisories as they are now. While they cannot be read, those of before hold, and the log says so.
    pub(crate) async fn now(&self) -> Arc<AdvisorySet> {
        Arc::clone(&self.look().await.set)
    }

    /// The present advisories, for the doctor.
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

    async fn look(&self) -> tokio::sync::MutexGuard<'_, AdvisorySnapshot> {
        // Whoever comes meanwhile waits for what is read now.
        let mut seen = self.seen.lock().await;
        if seen.at.elapsed() < LOOK_EVERY {
            return seen;
        }
        let known = seen.fingerprint;
        let found = blocking(self.path.clone(), move |path| {
            let files = AdvisoryFiles::list(path)?;
            let fingerprint = files.fingerprint();
            Ok((fingerprint, (fingerprint != known).then(|| read_some(path, &files))))
        });
        match found.await {
            Ok((_, None)) => {}
            Ok((fingerprint, Some(read))) => {
                seen.fingerprint = fingerprint;
                seen.take(read);
            }
            Err(error) => {
                // Whatever comes back is to be read.
                seen.fingerprint = 0;
                seen.take(Err(error));
            }
        }
        seen.at = Instant::now();
        seen
    }
}

impl AdvisorySnapshot {
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

/// Reads the advisories. A host is not to go on as if nothing were wrong with any package because a folder is empty.
fn read_some(path: &Path, files: &AdvisoryFiles) -> Result<AdvisorySet> {
    let set = files.read()?;
    if set.is_empty() {
        let message = format!("the advisories {}: it must contain an advisory about npm", path.display());
        return Err(Error::new(Code::BadInput, message));
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
}

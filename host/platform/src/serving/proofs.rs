//! Refuses to load versions that are not in the transparency log, on a host that was started with `--require-log`.
//!
//! Each version that serves has its proof in a file of its own, so that it can be loaded while the store is away. What
//! has none yet is looked up in the store's log, which must continue the log that this host saw last: who writes to
//! the store behind the host's back can neither exchange a version that was accepted, nor have one served that is not
//! in the log for everyone to see.

use super::snapshot::ServiceSnapshot;
use cap_std::fs::Dir;
use elias_api::{Code, Error, Result};
use elias_atomic_write::{Access, Fsync};
use elias_contract::note::{SigningKey, VerifyingKey};
use elias_names::ServiceId;
use elias_store::{ReleaseTarget, Store};
use elias_transparency::{self, Checkpoint, Hash, LogEntry, LogError, Proof, checkpoint};
use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The file with the checkpoint that this host saw last.
const SEEN: &str = "checkpoint";

/// The proofs of served versions.
pub(crate) struct Proofs {
    store: Store,
    key: SigningKey,
    keys: [VerifyingKey; 1],
    folder: Arc<Dir>,
    /// The last seen state of the log; held while the store's log is compared with it.
    seen: Mutex<Option<Checkpoint>>,
}

impl Proofs {
    /// Proofs in this folder, of the log that this key signs.
    ///
    /// # Errors
    /// `storage-failed`; `bad-input` if the checkpoint that was seen last is another log's.
    pub(crate) fn open(folder: Dir, store: Store, key: SigningKey) -> Result<Self> {
        let keys = [key.verifying_key()];
        let seen = match folder.read_to_string(SEEN) {
            Ok(note) => Some(Checkpoint::open(&note, &keys).map_err(|error| {
                let help = "if log.key was exchanged on purpose, move the file away: the log is then trusted anew";
                Error::new(Code::BadInput, format!("the file proofs/{SEEN}: {error}; {help}"))
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { store, key, keys, folder: Arc::new(folder), seen: Mutex::new(seen) })
    }

    /// Refuses a release that is not in the log as it is.
    ///
    /// # Errors
    /// `not-in-log`; `store-unavailable` if the store is away and the release was not proved before.
    pub(crate) async fn require(&self, id: &ServiceId, release: &ReleaseTarget) -> Result<()> {
        let is_as_logged = |entry: &LogEntry| match difference(entry, id, release) {
            Some(what) => Err(not_in_log(id, release, &format!("the log has another {what} for it"))),
            None => Ok(()),
        };
        // A version has one entry: what was proved once is not asked for again, also if there is a second one by now.
        if let Some(entry) = self.kept(id, release).and_then(|proof| proof.open(&self.keys).ok()) {
            return is_as_logged(&entry);
        }
        let proof = self.fetch(id, release).await?;
        let entry = proof.open(&self.keys).map_err(|error| not_in_log(id, release, &error.to_string()))?;
        is_as_logged(&entry)?;
        self.keep(&file_name(id, release.version), &proof_text(&proof)?);
        Ok(())
    }

    /// Has the proofs of all that services serve and served at hand, before the store is away. What cannot be proved
    /// is logged, and refused when it is loaded.
    pub(crate) async fn remember(&self, services: &[ServiceSnapshot]) {
        for ServiceSnapshot { target, history, .. } in services {
            let serves = std::iter::once(&target.release).chain(&target.canary).chain(&target.beside);
            for release in serves.chain(history) {
                let Err(error) = self.require(&target.id, release).await else { continue };
                if error.code() == Code::StoreUnavailable {
                    tracing::warn!(
                        %error,
                        "the store is unavailable, and the log proofs of some versions are not on this host"
                    );
                    return;
                }
                tracing::error!(
                    service = %target.id, version = release.version, code = %error.code(), %error,
                    "the version will not be loaded: its entry in the transparency log cannot be verified"
                );
            }
        }
    }

    fn kept(&self, id: &ServiceId, release: &ReleaseTarget) -> Option<Proof> {
        serde_json::from_slice(&self.folder.read(file_name(id, release.version)).ok()?).ok()
    }

    /// The proof out of the store's log, as that is now.
    async fn fetch(&self, id: &ServiceId, release: &ReleaseTarget) -> Result<Proof> {
        let refused = |why: &str| not_in_log(id, release, why);
        let mut seen = self.seen.lock().await;
        let mut scope = self.store.host_read().await?;
        let index = scope.log_index(id, release.version).await?;
        let index = index.ok_or_else(|| refused("the store does not have the version"))?;
        let size = scope.log_size().await?;
        let record = scope.log_records(index, index.saturating_add(1)).await?.pop().filter(|_| index < size);
        let record = record.ok_or_else(|| refused("the log in the store does not contain its entry"))?;
        let older = seen.as_ref().map_or(0, |seen| seen.size);
        let mut needs = elias_transparency::inclusion_needs(size, index);
        needs.extend(elias_transparency::root_needs(size));
        needs.extend(elias_transparency::consistency_needs(size, older));
        let known = scope.log_hashes(&needs).await?;
        drop(scope);
        let wrong = |error: LogError| refused(&format!("the store's log is damaged: {error}"));
        let root = elias_transparency::root(size, &known).map_err(wrong)?;
        if let Some(seen) = seen.as_ref() {
            continues(seen, size, root, &known).map_err(|why| refused(&why))?;
        }
        let hashes = elias_transparency::inclusion(size, index, &known).map_err(wrong)?;
        let note = checkpoint::sign(&self.key.id().name, size, root, std::slice::from_ref(&self.key)).map_err(wrong)?;
        let proof = Proof { record, index, hashes: hashes.iter().map(Hash::to_string).collect(), checkpoint: note };
        if older != size {
            self.keep(SEEN, proof.checkpoint.as_bytes());
            *seen = Some(Checkpoint::open(&proof.checkpoint, &self.keys).map_err(wrong)?);
        }
        Ok(proof)
    }

    /// Keeps a file, whole or not at all. Where that fails what was proved is proved all the same, until the host ends.
    fn keep(&self, name: &str, text: &[u8]) {
        if let Err(error) = self.write(name, text) {
            tracing::error!(%name, %error, "a log proof cannot be saved to the disk");
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> Result<()> {
        if let Some((parent, _)) = name.rsplit_once('/') {
            self.folder.create_dir_all(parent)?;
        }
        // After a power loss a missing proof is looked up again, and the log has to continue an older checkpoint too.
        Ok(elias_atomic_write::write(&self.folder, name, text, Access::OwnerOnly, Fsync::File)?)
    }

    /// Deletes the proofs of versions that are not among those in `wanted`, as [`file_name`] names them.
    ///
    /// # Errors
    /// `storage-failed`.
    pub(crate) fn sweep(&self, wanted: &HashSet<String>) -> Result<()> {
        for tenant in self.folder.entries()? {
            let tenant = tenant?;
            if !tenant.file_type()?.is_dir() {
                continue;
            }
            let folder = tenant.open_dir()?;
            for file in folder.entries()? {
                let name = file?.file_name();
                let path = format!("{}/{}", tenant.file_name().to_string_lossy(), name.to_string_lossy());
                if !wanted.contains(&path) {
                    folder.remove_file(name)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a log of this size and root continues the one that was seen.
fn continues(seen: &Checkpoint, size: u64, root: Hash, known: &HashMap<u64, Hash>) -> Result<(), String> {
    let other = || {
        format!(
            "the store's log is not the one that this host saw with {} entries; if the store was restored from a \
            backup on purpose, stop the host and move DATA/proofs away",
            seen.size
        )
    };
    if seen.size == 0 {
        return Ok(());
    }
    if seen.size > size {
        return Err(other());
    }
    let proof = elias_transparency::consistency(size, seen.size, known).map_err(|error| error.to_string())?;
    tlog_tiles::check_tree(&proof, size, root, seen.size, seen.root).map_err(|_| other())
}

/// The part of a release that differs from its entry.
fn difference(entry: &LogEntry, id: &ServiceId, release: &ReleaseTarget) -> Option<&'static str> {
    let settings = entry.settings.as_ref().is_none_or(|digest| *digest == release.settings.digest());
    let compared = [
        ("tenant", entry.tenant == id.tenant.as_str()),
        ("component", entry.component == id.component.as_str()),
        ("version", entry.version == u64::from(release.version)),
        ("digest", entry.sha256 == release.digest.as_str()),
        ("digest of the settings", settings),
    ];
    compared.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}

/// The file with the proof of a version.
pub(crate) fn file_name(id: &ServiceId, version: u32) -> String {
    format!("{}/{}.{version}.json", id.tenant, id.component)
}

fn proof_text(proof: &Proof) -> Result<Vec<u8>> {
    serde_json::to_vec(proof).map_err(|error| Error::new(Code::Internal, error.to_string()))
}

fn not_in_log(id: &ServiceId, release: &ReleaseTarget, why: &str) -> Error {
    let ServiceId { component, tenant, .. } = id;
    let message = format!(
        "version {} of {component} (tenant {tenant}) is not proved by the transparency log, and this host loads \
        nothing else: {why}. Deploy it again, and find out who writes to the store",
        release.version
    );
    Error::new(Code::NotInLog, message)
}

//! The bytes of heaps and records: encrypted, in the store or, if they are many, in the artifact store by digest.

use super::cipher::{Content, SealContext, TenantCipher};
use crate::artifacts::Artifacts;
use bytes::Bytes;
use elias_api::Code;
use elias_local_workers::{StoreError, WorkerRecord, merge_heap};
use elias_names::{Digest, ServiceId};
use elias_store::{PartKind, TurnPages, TurnPart, WORKER_PAGES_INLINE_MAX};
use elias_workers::WorkerKey;
use std::io;
use std::sync::Arc;

/// Bytes that are encrypted or read where futures run; what is longer is done aside.
const INLINE_BYTES: usize = 64 << 10;

/// Encrypts pages of a turn, and puts those that are too large for a row into the artifact store: what a row names is
/// there before the row.
pub(super) async fn write(
    artifacts: &Artifacts,
    cipher: &Arc<TenantCipher>,
    service: &ServiceId,
    key: &WorkerKey,
    turn: u64,
    pages: Vec<u8>,
) -> Result<TurnPages, StoreError> {
    let (cipher, service, key) = (Arc::clone(cipher), service.clone(), key.clone());
    let sealed = aside(pages.len(), move || {
        cipher.seal(SealContext { service: &service, key: &key, turn, content: Content::Pages }, &pages)
    });
    let sealed = sealed.await?.map_err(|why| StoreError::Io(io::Error::other(why)))?;
    if sealed.len() <= WORKER_PAGES_INLINE_MAX {
        return Ok(TurnPages::Inline(sealed));
    }
    let bytes = sealed.len() as u64;
    let (digest, sealed) = aside(sealed.len(), move || (Digest::of(&sealed), sealed)).await?;
    let chunks = futures::stream::iter([Ok::<_, io::Error>(Bytes::from(sealed))]);
    artifacts.put(&digest, chunks, bytes).await.map_err(of_api)?;
    Ok(TurnPages::Artifact { digest, bytes })
}

/// Reads the parts of a heap, and makes one of them.
///
/// # Errors
/// [`StoreError::Damaged`] if a part is missing, or is not as it was written.
pub(super) async fn read(
    artifacts: &Artifacts,
    cipher: &Arc<TenantCipher>,
    service: &ServiceId,
    key: &WorkerKey,
    parts: Vec<TurnPart>,
) -> Result<Vec<u8>, StoreError> {
    let mut sealed = Vec::with_capacity(parts.len());
    for TurnPart { turn, kind, pages } in parts {
        let pages = match pages {
            TurnPages::Inline(pages) => Bytes::from(pages),
            TurnPages::Artifact { digest, .. } => match artifacts.get(&digest).await {
                Ok(pages) => pages,
                Err(error) if error.code() == Code::ArtifactMissing => {
                    return Err(StoreError::Damaged(format!("the pages of turn {turn} are missing: {error}")));
                }
                Err(error) => return Err(of_api(error)),
            },
        };
        sealed.push((turn, kind, pages));
    }
    let bytes = sealed.iter().map(|(.., pages)| pages.len()).sum();
    let (cipher, service, key) = (Arc::clone(cipher), service.clone(), key.clone());
    let read = aside(bytes, move || -> Result<Vec<u8>, String> {
        let mut whole = None;
        let mut changes = Vec::new();
        for (turn, kind, pages) in sealed {
            let context = SealContext { service: &service, key: &key, turn, content: Content::Pages };
            let pages = cipher.open(context, &pages).map_err(|why| format!("the pages of turn {turn}: {why}"))?;
            match kind {
                PartKind::Whole => {
                    whole = Some(pages);
                    changes.clear();
                }
                PartKind::Change => changes.push(pages),
            }
        }
        merge(whole.ok_or("it has no whole heap")?, &changes)
    });
    read.await?.map_err(StoreError::Damaged)
}

/// Encrypts the record of a worker.
pub(super) async fn seal_record(
    cipher: &Arc<TenantCipher>,
    service: &ServiceId,
    record: WorkerRecord,
) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec(&record).map_err(|error| StoreError::Io(io::Error::other(error)))?;
    let (cipher, service) = (Arc::clone(cipher), service.clone());
    let sealed = aside(text.len(), move || {
        let (key, turn) = (&record.key, record.turns);
        cipher.seal(SealContext { service: &service, key, turn, content: Content::Record }, &text)
    });
    sealed.await?.map_err(|why| StoreError::Io(io::Error::other(why)))
}

/// Decrypts the record of a worker, which was committed with this turn.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not as it was written.
pub(super) async fn open_record(
    cipher: &Arc<TenantCipher>,
    service: &ServiceId,
    key: &WorkerKey,
    turn: u64,
    sealed: Vec<u8>,
) -> Result<WorkerRecord, StoreError> {
    let (cipher, service, key) = (Arc::clone(cipher), service.clone(), key.clone());
    let opened = aside(sealed.len(), move || -> Result<WorkerRecord, String> {
        let context = SealContext { service: &service, key: &key, turn, content: Content::Record };
        let text = cipher.open(context, &sealed)?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    });
    opened.await?.map_err(|why| StoreError::Damaged(format!("the record of a worker: {why}")))
}

/// Merges changes into a whole heap, all as [`elias_host`] writes them.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn merge(whole: Vec<u8>, changes: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    if changes.is_empty() {
        return Ok(whole);
    }
    merge_heap(&whole, changes)
}

/// Does what takes as long as so many bytes are: here, or on another thread if they are many.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    if bytes <= INLINE_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Io(io::Error::other(error)))
}

/// An error of the store or the artifact store, as one of a store of workers.
pub(super) fn of_api(error: elias_api::Error) -> StoreError {
    match error.code() {
        Code::StoreUnavailable | Code::MissingConfiguration => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Io(io::Error::other(error.to_string())),
    }
}

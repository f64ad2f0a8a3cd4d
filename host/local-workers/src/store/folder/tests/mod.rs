//! Folders from one process to the next.
//!
//! - here: what is found again, and how it is kept. `recovery`: folders of processes that were killed, cut short and
//!   damaged. `capacity`: full disks and full folders. `owners`: several workers and owners at a time.

mod capacity;
mod owners;
mod recovery;

use super::*;
use crate::store::{HeapCommit, WorkerRecord};
use std::os::unix::fs::PermissionsExt;

/// A heap is a text, to which changes are appended.
fn append(whole: &[u8], changes: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    Ok(changes.iter().fold(whole.to_vec(), |heap, change| [heap.as_slice(), change].concat()))
}

fn options(hook: impl Fn(DiskOperation) -> std::io::Result<()> + Send + Sync + 'static) -> Options {
    Options { merge: append, hook: DiskHook(Arc::new(hook)), ..Options::new(Fsync::FileAndFolder) }
}

fn open(path: &Path) -> FolderStore {
    FolderStore::open_with(path.to_owned(), options(|_| Ok(()))).expect("it is opened")
}

/// A folder whose segments are full after each record.
fn open_small(path: &Path) -> FolderStore {
    FolderStore::open_with(path.to_owned(), Options { segment_bytes: 1, ..options(|_| Ok(())) }).expect("it is opened")
}

fn key(name: &str) -> WorkerKey {
    WorkerKey::new("Cart", name)
}

fn record(name: &str, turns: u64) -> WorkerRecord {
    WorkerRecord { turns, ..WorkerRecord::new(key(name)) }
}

/// A record of a handler that waits, before which the turn `restorable` was committed.
fn waiting(name: &str, turns: u64, restorable: u64) -> WorkerRecord {
    let waiting = serde_json::json!({
        "id": "1", "restorable_turn": restorable, "timers": {}, "calls": {},
    });
    let waiting = serde_json::from_value(waiting).expect("it is a handler that waits");
    WorkerRecord { waiting: Some(waiting), ..record(name, turns) }
}

/// Commits as the owner.
async fn commit(store: &FolderStore, record: WorkerRecord, heap: HeapCommit) -> Result<(), StoreError> {
    let epoch = store.acquire(&record.key).await?.epoch;
    store.commit(WorkerCommit { epoch, record, heap, events: Vec::new() }).await
}

/// A heap of a first turn, and a letter for each turn up to this one.
async fn commit_turns(store: &FolderStore, name: &str, turns: std::ops::RangeInclusive<u64>) {
    for turn in turns {
        let heap = if turn == 1 { HeapCommit::Whole(letter(1)) } else { HeapCommit::Change(letter(turn)) };
        commit(store, record(name, turn), heap).await.expect("there is room");
    }
}

fn letter(turn: u64) -> Vec<u8> {
    vec![b'a' + (turn - 1) as u8]
}

/// How many turns a worker had, and its heap.
async fn state(store: &FolderStore, name: &str) -> Option<(u64, String)> {
    let record = store.acquire(&key(name)).await.expect("it is read").record?;
    let heap = store.heap(&key(name), record.turns).await.expect("it is kept");
    Some((record.turns, String::from_utf8(heap).expect("letters")))
}

fn some(turns: u64, heap: &str) -> Option<(u64, String)> {
    Some((turns, heap.to_owned()))
}

/// The files whose names begin with this.
fn files(path: &Path, start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("it is there").map(|entry| entry.expect("it is read").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))).collect();
    files.sort();
    files
}

/// A copy of a folder, as if the process that uses it had been killed.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("there is room");
    // The journal first: what leaves it meanwhile is in a worker's file, which is copied later.
    for file in files(from, "").into_iter().rev() {
        let name = file.file_name().expect("it has one").to_owned();
        // A file may be renamed meanwhile.
        drop(std::fs::copy(&file, to.join(name)));
    }
}

#[tokio::test]
async fn a_worker_is_found_again_by_the_next_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("below");
    let store = open(&path);
    assert_eq!(state(&store, "../a\0").await, None);
    commit_turns(&store, "../a\0", 1..=3).await;
    commit_turns(&store, "b", 1..=1).await;
    assert!(matches!(FolderStore::open(&path, Fsync::None), Err(StoreError::InUse(_))));
    // The journal is read by the first, the worker's file by the second and the third.
    drop(store);
    for _ in 0..3 {
        let store = open(&path);
        assert_eq!(state(&store, "../a\0").await, some(3, "abc"));
        let listed = store.list(None, 10).await.expect("it is read");
        assert_eq!(listed.iter().map(|one| one.key.name.as_str()).collect::<Vec<_>>(), ["../a\0", "b"]);
        let listed = store.list(Some(listed[0].key.clone()), 1).await.expect("it is read");
        assert_eq!((listed[0].key.name.as_str(), listed[0].heap_bytes), ("b", 1));
        assert!(store.pending().await.expect("it is read").is_empty());
    }
    let store = open(&path);
    let epoch = store.acquire(&key("../a\0")).await.expect("it is there").epoch;
    for _ in 0..2 {
        store.remove(&key("../a\0"), epoch).await.expect("it is removed, and not there");
    }
    drop(store);
    let store = open(&path);
    assert_eq!((state(&store, "../a\0").await, state(&store, "b").await), (None, some(1, "a")));
}

#[tokio::test]
async fn the_heap_of_before_a_handler_that_waits_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_small(folder.path());
    commit_turns(&store, "a", 1..=2).await;
    commit(&store, waiting("a", 3, 2), HeapCommit::Change(letter(3))).await.expect("there is room");
    commit(&store, waiting("a", 4, 2), HeapCommit::Whole(b"X".to_vec())).await.expect("there is room");
    drop(store);
    let store = open_small(folder.path());
    assert_eq!(state(&store, "a").await, some(4, "X"));
    assert_eq!(store.heap(&key("a"), 2).await.expect("it is kept"), b"ab");
    assert!(matches!(store.heap(&key("a"), 5).await, Err(StoreError::NoSuchTurn(5))));
    commit(&store, record("a", 5), HeapCommit::BackTo(2)).await.expect("there is room");
    assert_eq!(state(&store, "a").await, some(5, "ab"));
    commit(&store, record("a", 6), HeapCommit::Unchanged).await.expect("there is room");
    drop(store);
    assert_eq!(state(&open(folder.path()), "a").await, some(6, "ab"));
}

#[tokio::test]
async fn a_worker_with_many_commits_is_written_to_its_file_before_the_segment_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let fast = Options { fsync: Fsync::None, ..options(|_| Ok(())) };
    let store = FolderStore::open_with(folder.path().to_owned(), fast).expect("it is opened");
    commit_turns(&store, "a", 1..=1).await;
    for turns in 2..=2_000 {
        commit(&store, record("a", turns), HeapCommit::Change(b"x".to_vec())).await.expect("there is room");
    }
    let expected = format!("a{}", "x".repeat(1_999));
    assert_eq!(state(&store, "a").await, some(2_000, &expected));
    drop(store);
    assert_eq!(files(folder.path(), JOURNAL).len(), 1, "no other segment was needed");
    assert!(folder.path().join(format!("{}{CURRENT}", index::stem(&key("a")))).exists());
    assert_eq!(state(&open(folder.path()), "a").await, some(2_000, &expected));
}

#[tokio::test]
async fn heaps_are_their_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("below");
    for turns in [1..=1, 2..=2] {
        commit_turns(&open(&path), "a", turns).await;
    }
    drop(open(&path));
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let files = files(&path, "");
    // The worker of before is there if the journal was written down in between.
    assert!((3..=4).contains(&files.len()), "the lock, the journal and the worker: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_worker_that_begins_anew_has_nothing_of_the_one_that_was_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_small(folder.path());
    for turns in [3, 2] {
        commit_turns(&store, "a", 1..=turns).await;
        let epoch = store.acquire(&key("a")).await.expect("it is there").epoch;
        store.remove(&key("a"), epoch).await.expect("it is removed");
    }
    commit_turns(&store, "a", 1..=1).await;
    drop(store);
    let store = open(folder.path());
    assert_eq!(state(&store, "a").await, some(1, "a"));
}

#[tokio::test]
async fn a_worker_without_a_heap_keeps_no_other_from_being_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open_small(folder.path());
    commit(&store, record("none", 1), HeapCommit::Unchanged).await.expect("there is room");
    commit_turns(&store, "a", 1..=6).await;
    assert_eq!(state(&store, "a").await, some(6, "abcdef"));
    assert!(matches!(store.acquire(&key("none")).await, Err(StoreError::Damaged(_))));
}

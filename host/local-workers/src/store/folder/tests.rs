//! Folders as processes leave them: killed, cut short, damaged and full.

use super::*;
use crate::store::{HeapCommit, WorkerRecord};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;

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
async fn who_is_not_the_owner_commits_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    commit_turns(&store, "a", 1..=1).await;
    let former = store.acquire(&key("a")).await.expect("it is there").epoch;
    let epoch = store.acquire(&key("a")).await.expect("it is there").epoch;
    let late = WorkerCommit { epoch: former, record: record("a", 2), heap: HeapCommit::Unchanged, events: Vec::new() };
    assert!(matches!(store.commit(late).await, Err(StoreError::NotOwner)));
    assert!(matches!(store.remove(&key("a"), former).await, Err(StoreError::NotOwner)));
    store.release(&key("a"), former).await.expect("it does not matter");
    let owners = WorkerCommit { epoch, record: record("a", 2), heap: HeapCommit::Unchanged, events: Vec::new() };
    store.commit(owners).await.expect("it is the owner");
    assert_eq!(state(&store, "a").await, some(2, "a"));
}

#[tokio::test]
async fn a_torn_record_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    commit_turns(&store, "a", 1..=2).await;
    let whole = std::fs::metadata(&files(folder.path(), JOURNAL)[0]).expect("it is there").len();
    commit_turns(&store, "a", 3..=3).await;
    let end = std::fs::metadata(&files(folder.path(), JOURNAL)[0]).expect("it is there").len();
    let torn = tempfile::tempdir().expect("a folder");
    for bytes in (whole..end).step_by(7) {
        let path = torn.path().join(bytes.to_string());
        copy(folder.path(), &path);
        let journal = std::fs::File::options().write(true).open(&files(&path, JOURNAL)[0]).expect("it is opened");
        journal.set_len(bytes).expect("it is cut");
        let store = open(&path);
        assert_eq!(state(&store, "a").await, some(2, "ab"), "{bytes} of {end}");
        commit_turns(&store, "a", 3..=4).await;
        drop(store);
        assert_eq!(state(&open(&path), "a").await, some(4, "abcd"));
    }
}

#[tokio::test]
async fn the_state_before_a_flipped_byte_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    commit_turns(&store, "a", 1..=2).await;
    let journal = files(folder.path(), JOURNAL).remove(0);
    let start = std::fs::metadata(&journal).expect("it is there").len() as usize;
    commit_turns(&store, "a", 3..=3).await;
    let end = std::fs::metadata(&journal).expect("it is there").len() as usize;
    commit_turns(&store, "a", 4..=4).await;
    commit_turns(&store, "b", 1..=2).await;
    drop(store);
    let bytes = std::fs::read(&journal).expect("it is there");
    for position in (start..end).step_by(11) {
        let damaged = tempfile::tempdir().expect("a folder");
        let mut flipped = bytes.clone();
        flipped[position] ^= 1;
        let name = journal.file_name().expect("it has one");
        std::fs::write(damaged.path().join(name), flipped).expect("there is room");
        let store = open(damaged.path());
        assert_eq!(state(&store, "a").await, some(2, "ab"), "{position}");
        assert_eq!(state(&store, "b").await, some(2, "ab"), "others are not concerned");
        commit(&store, record("a", 3), HeapCommit::Change(b"!".to_vec())).await.expect("there is room");
        drop(store);
        assert_eq!(state(&open(damaged.path()), "a").await, some(3, "ab!"));
    }
}

#[tokio::test]
async fn the_file_before_is_taken_for_a_damaged_one() {
    let folder = tempfile::tempdir().expect("a folder");
    // Each start writes what the journal has to the worker's file.
    for turns in [1..=2, 3..=3] {
        commit_turns(&open(folder.path()), "a", turns).await;
        drop(open(folder.path()));
    }
    let file = |end: &str| folder.path().join(format!("{}{end}", index::stem(&key("a"))));
    let good = std::fs::read(file(CURRENT)).expect("it is there");
    assert!(file(BEFORE).exists());
    for position in [20, good.len() - 65] {
        let path = tempfile::tempdir().expect("a folder");
        copy(folder.path(), path.path());
        for journal in files(path.path(), JOURNAL) {
            std::fs::remove_file(journal).expect("it is removed");
        }
        let mut flipped = good.clone();
        flipped[position] ^= 1;
        let current = path.path().join(file(CURRENT).file_name().expect("it has one"));
        std::fs::write(&current, flipped).expect("there is room");
        let store = open(path.path());
        assert_eq!(state(&store, "a").await, some(2, "ab"), "{position}");
        assert_eq!(files(path.path(), "").iter().filter(|file| file.to_string_lossy().ends_with(DAMAGED)).count(), 1);
        drop(store);
        std::fs::write(&current, b"x").expect("there is room");
        let store = open(path.path());
        assert!(matches!(store.acquire(&key("a")).await, Err(StoreError::Damaged(_))), "it does not begin anew");
        assert!(store.list(None, 10).await.expect("others are read").is_empty());
        // Unless that is asked for.
        store.discard(&key("a")).await.expect("it is removed");
        assert_eq!(state(&store, "a").await, None);
        drop(store);
        assert_eq!(state(&open(path.path()), "a").await, None);
    }
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_loses_no_commit() {
    let folder = tempfile::tempdir().expect("a folder");
    let copies = Arc::new(tempfile::tempdir().expect("a folder"));
    let taken = Arc::new(AtomicUsize::new(0));
    let hook = {
        let (from, copies, taken) = (folder.path().join("used"), Arc::clone(&copies), Arc::clone(&taken));
        move |_: DiskOperation| {
            copy(&from, &copies.path().join(taken.fetch_add(1, SeqCst).to_string()));
            Ok(())
        }
    };
    let path = folder.path().join("used");
    let small = Options { segment_bytes: 1, ..options(hook) };
    let store = FolderStore::open_with(path.clone(), small).expect("it is opened");
    // How many copies there were when each turn was acknowledged.
    let mut acknowledged = Vec::new();
    for turn in 1..=6 {
        commit_turns(&store, "a", turn..=turn).await;
        acknowledged.push(taken.load(SeqCst));
    }
    drop(store);
    for number in 0..taken.load(SeqCst) {
        let least = acknowledged.iter().filter(|copies| **copies <= number).count() as u64;
        let store = open(&copies.path().join(number.to_string()));
        let (turns, heap) = state(&store, "a").await.unwrap_or_default();
        assert!((least..=6).contains(&turns), "{number}: {turns} of at least {least}");
        assert_eq!(heap, "abcdef"[..turns as usize], "{number}");
    }
    assert_eq!(state(&open(&path), "a").await, some(6, "abcdef"));
    // What was in the journal is in the workers' files, whatever the number of turns.
    assert_eq!(files(&path, JOURNAL).len(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_a_commit_and_leaves_the_state_before() {
    for failing in [DiskOperation::Append, DiskOperation::Sync] {
        let folder = tempfile::tempdir().expect("a folder");
        let full = Arc::new(AtomicBool::new(false));
        let hook = {
            let full = Arc::clone(&full);
            move |operation: DiskOperation| {
                let fails = full.load(SeqCst) && operation == failing;
                if fails { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
            }
        };
        let store = FolderStore::open_with(folder.path().to_owned(), options(hook)).expect("it is opened");
        commit_turns(&store, "a", 1..=2).await;
        full.store(true, SeqCst);
        for _ in 0..2 {
            let refused = commit(&store, record("a", 3), HeapCommit::Change(b"lost".to_vec())).await;
            assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
            assert_eq!(state(&store, "a").await, some(2, "ab"));
        }
        full.store(false, SeqCst);
        commit_turns(&store, "a", 3..=3).await;
        drop(store);
        assert_eq!(state(&open(folder.path()), "a").await, some(3, "abc"), "{failing:?}");
    }
}

#[tokio::test]
async fn a_journal_that_cannot_be_cut_does_not_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = Arc::new(AtomicBool::new(true));
    let hook = {
        let full = Arc::clone(&full);
        move |operation: DiskOperation| {
            let fails = full.load(SeqCst) && operation == DiskOperation::Snapshot;
            if fails { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
        }
    };
    let small = Options { segment_bytes: 1, ..options(hook) };
    let store = FolderStore::open_with(folder.path().to_owned(), small).expect("it is opened");
    commit_turns(&store, "a", 1..=2).await;
    for _ in 0..5 {
        let refused = commit(&store, record("a", 3), HeapCommit::Change(letter(3))).await;
        assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
    }
    assert_eq!(files(folder.path(), JOURNAL).len(), 2);
    full.store(false, SeqCst);
    commit_turns(&store, "a", 3..=3).await;
    assert_eq!(state(&store, "a").await, some(3, "abc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_many_workers_share_a_sync() {
    let folder = tempfile::tempdir().expect("a folder");
    // The first sync waits until all others have committed.
    let (syncs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(())));
    let hook = {
        let (syncs, gate) = (Arc::clone(&syncs), Arc::clone(&gate));
        move |operation: DiskOperation| {
            if operation == DiskOperation::Sync {
                syncs.fetch_add(1, SeqCst);
                drop(gate.lock());
            }
            Ok(())
        }
    };
    let store = FolderStore::open_with(folder.path().to_owned(), options(hook)).expect("it is opened");
    let mut commits = Vec::new();
    for number in 0..100 {
        let record = record(&number.to_string(), 1);
        let epoch = store.acquire(&record.key).await.expect("it is new").epoch;
        commits.push(WorkerCommit { epoch, record, heap: HeapCommit::Whole(letter(1)), events: Vec::new() });
    }
    let held = gate.lock();
    let waiting: Vec<_> = commits.into_iter().map(|commit| store.commit(commit)).collect();
    drop(held);
    for outcome in futures::future::join_all(waiting).await {
        outcome.expect("there is room");
    }
    let syncs = syncs.load(SeqCst);
    assert!(syncs <= 2, "{syncs} syncs for 100 commits");
    drop(store);
    assert_eq!(open(folder.path()).list(None, 1_000).await.expect("it is read").len(), 100);
}

#[tokio::test]
async fn the_files_of_a_folder_are_bounded_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).with_bytes_max(20_000);
    let whole = || HeapCommit::Whole(vec![b'x'; 5_000]);
    commit(&store, record("a", 1), whole()).await.expect("there is room");
    commit(&store, record("b", 1), whole()).await.expect("there is room");
    commit(&store, record("c", 1), whole()).await.expect("there is room");
    assert!(matches!(commit(&store, record("d", 1), whole()).await, Err(StoreError::Full(20_000))));
    assert_eq!(state(&store, "d").await, None);
    commit(&store, record("a", 2), HeapCommit::Unchanged).await.expect("it does not grow");
    drop(store);
    let store = open(folder.path()).with_bytes_max(20_000);
    assert!(matches!(commit(&store, record("d", 1), whole()).await, Err(StoreError::Full(_))), "what is there counts");
    for name in ["a", "b"] {
        let epoch = store.acquire(&key(name)).await.expect("it is there").epoch;
        store.remove(&key(name), epoch).await.expect("it is removed");
    }
    commit(&store, record("d", 1), whole()).await.expect("there is room again");
    assert_eq!(store.list(None, 10).await.expect("it is read").len(), 2);
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
async fn what_a_killed_process_was_writing_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    commit_turns(&open(folder.path()), "a", 1..=2).await;
    let stem = index::stem(&key("a"));
    let unfinished = folder.path().join(format!("{stem}{CURRENT}.01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    let other = folder.path().join("notes.worker.txt");
    for file in [&unfinished, &other] {
        std::fs::write(file, b"x").expect("it is written");
    }
    let store = open(folder.path());
    assert!(!unfinished.exists() && other.exists());
    assert_eq!(state(&store, "a").await, some(2, "ab"));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_reads_what_is_being_written_of_the_former_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gate, is_syncing) = (Arc::new(Mutex::new(())), Arc::new(AtomicBool::new(false)));
    let hook = {
        let (gate, is_syncing) = (Arc::clone(&gate), Arc::clone(&is_syncing));
        move |operation: DiskOperation| {
            if operation == DiskOperation::Sync {
                is_syncing.store(true, SeqCst);
                drop(gate.lock());
            }
            Ok(())
        }
    };
    let store = Arc::new(FolderStore::open_with(folder.path().to_owned(), options(hook)).expect("it is opened"));
    commit_turns(&store, "a", 1..=1).await;
    let epoch = store.acquire(&key("a")).await.expect("it is read").epoch;
    is_syncing.store(false, SeqCst);
    let held = gate.lock();
    // Nobody waits for it any more, as where its task was ended.
    drop(store.commit(WorkerCommit {
        epoch,
        record: record("a", 2),
        heap: HeapCommit::Change(letter(2)),
        events: Vec::new(),
    }));
    while !is_syncing.load(SeqCst) {
        std::thread::yield_now();
    }
    let acquiring = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.acquire(&key("a")).await }
    });
    while store.shared.index.lock().owners.get(&key("a")) == Some(&epoch) {
        std::thread::yield_now();
    }
    drop(held);
    let acquired = acquiring.await.expect("it does not panic").expect("it is read");
    assert_eq!(acquired.record.expect("it is there").turns, 2);
    let next = WorkerCommit {
        epoch: acquired.epoch,
        record: record("a", 3),
        heap: HeapCommit::Change(letter(3)),
        events: Vec::new(),
    };
    store.commit(next).await.expect("there is room");
    assert_eq!(state(&store, "a").await, some(3, "abc"));
}

//! Several workers at a time, and several owners of one.

use super::*;
use std::sync::atomic::AtomicBool;

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

//! Full disks, and folders that have as many bytes as they may.

use super::*;
use std::io::{Error, ErrorKind};
use std::sync::atomic::AtomicBool;

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

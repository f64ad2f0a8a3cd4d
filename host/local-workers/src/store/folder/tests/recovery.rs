//! Folders as processes leave them that were killed, cut short and damaged.

use super::*;

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

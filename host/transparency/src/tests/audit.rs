//! The audit against logs that lie.

use super::*;

#[test]
fn what_is_in_a_log_is_found_and_what_is_not_is_not() {
    let store = Store::of((0..600).map(entry));
    for size in [0_u64, 1, 2, 3, 5, 255, 256, 257, 511, 512, 513, 600] {
        let files = Store::of((0..size).map(entry)).files();
        for number in [0, size / 2, size.saturating_sub(1)].into_iter().filter(|number| *number < size) {
            assert_eq!(find(&files, number).unwrap(), number);
        }
        assert_eq!(code(find(&files, size)), "not-in-log");
        assert_eq!(replay(&files).unwrap(), size);
    }
    // A partial tile that has become a full one and was removed.
    let mut files = Store::of((0..300).map(entry)).files();
    for (path, file) in store.files().0.into_iter().filter(|(path, _)| path.ends_with("/001")) {
        assert!(files.0.remove(&format!("{path}.p/44")).is_some());
        files.0.insert(path, file);
    }
    assert_eq!(find(&files, 299).unwrap(), 299);
    assert_eq!(replay(&files).unwrap(), 300);
}

#[test]
fn a_copy_in_a_folder_is_checked_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    for (path, file) in Store::of((0..300).map(entry)).files().0 {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    let log = Directory::new(folder.path());
    assert_eq!(find(&log, 123).unwrap(), 123);
    assert_eq!(replay(&log).unwrap(), 300);
    std::fs::write(folder.path().join("checkpoint"), vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(code(find(&log, 123)), "log-unavailable");
    assert_eq!(code(find(&Directory::new(folder.path().join("none")), 1)), "log-unavailable");
}

#[test]
fn a_byte_that_differs_in_a_file_that_is_used_is_noticed() {
    let honest = Store::of((0..600).map(entry)).files();
    let folder = tempfile::tempdir().unwrap();
    let seen = StateFile::new(folder.path().join("seen"));
    seen.follow(&Log::open(&Store::of((0..300).map(entry)).files(), &[log_key()]).unwrap(), &[log_key()]).unwrap();
    let before = std::fs::read(folder.path().join("seen")).unwrap();
    let mut noticed = BTreeMap::new();
    for (path, file) in &honest.0 {
        for at in [0, file.len() / 2, file.len() - 1] {
            for altered in [None, Some(file[at] ^ 1)] {
                let mut files = honest.clone();
                let file = files.0.get_mut(path).unwrap();
                match altered {
                    Some(byte) => file[at] = byte,
                    None => file.truncate(at),
                }
                let outcomes = [
                    find(&files, 599).map(drop),
                    find(&files, 128).map(drop),
                    replay(&files).map(drop),
                    Log::open(&files, &[log_key()]).and_then(|log| seen.follow(&log, &[log_key()])).map(drop),
                ];
                for outcome in &outcomes {
                    let code = outcome.as_ref().map_or_else(AuditError::code, |()| "good");
                    assert!(!["log-forked", "log-shrunk", "not-in-log"].contains(&code), "{path}: {code}");
                }
                let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
                *noticed.entry(path.as_str()).or_insert(0) += failed;
                std::fs::write(folder.path().join("seen"), &before).unwrap();
            }
        }
    }
    for (path, noticed) in noticed {
        assert!(noticed >= 6, "{path} was altered six times and that was noticed {noticed} times");
    }
}

/// The result of the state file when a log that it knows at `seen` is shown as `now`.
fn follow(seen: &Store, now: &Store) -> Result<Consistency, AuditError> {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFile::new(folder.path().join("logs/seen"));
    let keys = [log_key()];
    let files = seen.files();
    assert_eq!(state.follow(&Log::open(&files, &keys)?, &keys)?, Consistency::First { size: seen.size() });
    let result = state.follow(&Log::open(&now.files(), &keys)?, &keys);
    let kept = if result.is_ok() { now } else { seen };
    assert_eq!(state.read(&keys)?.unwrap().note, kept.checkpoint(), "what was good last is what is remembered");
    let left = std::fs::read_dir(folder.path().join("logs")).unwrap().count();
    assert_eq!(left, 1, "nothing unfinished is left");
    result
}

#[test]
fn a_log_that_only_grew_is_followed() {
    for (from, to) in
        [(0, 0), (0, 5), (1, 1), (1, 2), (3, 7), (255, 256), (256, 257), (200, 600), (512, 600), (600, 600)]
    {
        let (seen, now) = (Store::of((0..from).map(entry)), Store::of((0..to).map(entry)));
        assert_eq!(follow(&seen, &now).unwrap(), Consistency::Grown { from, to });
    }
}

#[test]
fn a_rewritten_a_forked_and_a_shrunken_history_are_told_with_both_checkpoints() {
    let other = |number: u64| LogEntry { sha256: digest(number + 9999), ..entry(number) };
    for (seen, now) in [(1_u64, 1_u64), (2, 5), (300, 300), (300, 301), (256, 600), (300, 600)] {
        for changed in [0, seen / 2, seen - 1] {
            let entries = (0..now).map(|number| if number == changed { other(number) } else { entry(number) });
            let (honest, rewritten) = (Store::of((0..seen).map(entry)), Store::of(entries));
            assert_eq!(replay(&rewritten.files()).unwrap(), now, "by itself it looks right");
            let error = follow(&honest, &rewritten).unwrap_err();
            assert_eq!(error.code(), "log-forked");
            let conflict = error.conflict().unwrap();
            assert_eq!((&conflict.seen.note, &conflict.now.note), (&honest.checkpoint(), &rewritten.checkpoint()));
        }
        let left_out = Store::of((0..=now).filter(|number| *number != seen - 1).map(entry));
        assert_eq!(code(follow(&Store::of((0..seen).map(entry)), &left_out)), "log-forked");
    }
    for (seen, now) in [(1, 0), (300, 299), (600, 256)] {
        let error = follow(&Store::of((0..seen).map(entry)), &Store::of((0..now).map(entry))).unwrap_err();
        assert_eq!(error.code(), "log-shrunk");
        assert_eq!(error.conflict().map(|conflict| conflict.now.size), Some(now));
    }
}

#[test]
fn one_version_with_two_files_is_told_by_a_replay() {
    let mut entries: Vec<_> = (0..20).map(entry).collect();
    entries.push(LogEntry { time: 5, ..entry(3) });
    assert_eq!(replay(&Store::of(entries.clone()).files()).unwrap(), 21, "the same file twice is no contradiction");
    entries.push(LogEntry { sha256: digest(777), ..entry(3) });
    let error = replay(&Store::of(entries).files()).unwrap_err();
    assert_eq!(error.code(), "version-reused");
    assert!(error.to_string().starts_with("entry 21 "), "{error}");
}

#[test]
fn a_state_file_that_is_damaged_or_of_another_log_is_not_taken_for_a_first_look() {
    let folder = tempfile::tempdir().unwrap();
    let state = |file: &Path| {
        let store = Store::of((0..3).map(entry)).files();
        StateFile::new(file)
            .follow(&Log::open(&store, &[log_key()]).unwrap(), &[log_key(), key("other", 1).verifying_key()])
    };
    let file = folder.path().join("seen");
    let other = checkpoint::sign("other", 0, tlog_tiles::EMPTY_HASH, &[key("other", 1)]).unwrap();
    for content in ["", "\0", "x", &other, &"x".repeat(1 << 20)] {
        std::fs::write(&file, content).unwrap();
        assert_eq!(code(state(&file)), "bad-state");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
    assert_eq!(code(state(folder.path())), "bad-state");
}

#[test]
fn more_entries_than_an_audit_reads_are_refused_before_anything_is_fetched() {
    let size = crate::audit::REPLAY_ENTRIES_MAX + 1;
    let note = checkpoint::sign(ORIGIN, size, Hash([7; 32]), &[key(ORIGIN, 9)]).unwrap();
    let files = Files(BTreeMap::from([("checkpoint".to_owned(), note.into_bytes())]));
    assert_eq!(code(find(&files, 1)), "log-too-large");
    assert_eq!(code(replay(&files)), "log-too-large");
    let log = Log::open(&files, &[log_key()]).unwrap();
    assert_eq!(code(log.check_inclusion(1, b"x")), "log-unavailable");
    assert_eq!(code(log.check_inclusion(size, b"x")), "not-found");
}

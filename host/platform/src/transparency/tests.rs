//! The log against RFC 6962's definition, and the audit against logs that lie.

use super::audit::{AuditError, Consistency, Directory, Fetch, FetchError, Log, StateFile};
use super::*;
use elias_contract::note::{SigningKey, VerifyingKey};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const ORIGIN: &str = "example.com/log";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, &[seed; 32]).unwrap()
}

fn log_key() -> VerifyingKey {
    key(ORIGIN, 9).verifying_key()
}

fn entry(number: u64) -> Entry {
    Entry {
        format: ENTRY_FORMAT,
        tenant: "acme".into(),
        component: format!("component-{}", number % 7),
        version: number / 7 + 1,
        sha256: digest(number),
        manifest: (!number.is_multiple_of(5)).then(|| digest(number + 1_000_000)),
        signers: vec!["example.com/team+0f3a9c1e".into()],
        time: 1_767_225_600_000 + number,
    }
}

fn digest(number: u64) -> String {
    elias_contract::digest(&number.to_be_bytes())
}

/// A store as the platform has one, and the files that are served out of it.
#[derive(Clone, Default)]
struct Store {
    records: Vec<Vec<u8>>,
    hashes: HashMap<u64, Hash>,
    root: Hash,
}

impl Store {
    fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut store = Self { root: tlog_tiles::EMPTY_HASH, ..Self::default() };
        entries.into_iter().for_each(|entry| store.append(entry.to_bytes().unwrap()));
        store
    }

    fn size(&self) -> u64 {
        self.records.len() as u64
    }

    fn known(&self, needs: &[u64]) -> HashMap<u64, Hash> {
        needs.iter().map(|index| (*index, self.hashes[index])).collect()
    }

    fn append(&mut self, record: Vec<u8>) {
        let appended = append(self.size(), &record, &self.known(&append_needs(self.size()))).unwrap();
        for (index, hash) in appended.stored {
            assert_eq!(index, self.hashes.len() as u64, "stored indexes have no gaps");
            self.hashes.insert(index, hash);
        }
        self.records.push(record);
        self.root = appended.root;
    }

    /// What would be served for a path, in a log of `size` entries.
    fn tile(&self, path: &TilePath, size: u64) -> Option<Vec<u8>> {
        Some(match path.needs(size).ok()? {
            TileNeeds::Hashes(indexes) => {
                hash_tile(&indexes.iter().map(|index| self.hashes[index]).collect::<Vec<_>>())
            }
            TileNeeds::Entries(range) => {
                let records = &self.records[range.start as usize..range.end as usize];
                entry_bundle(records.iter().map(Vec::as_slice)).unwrap()
            }
        })
    }

    fn checkpoint(&self) -> String {
        checkpoint::sign(ORIGIN, self.size(), self.root, &[key(ORIGIN, 9)]).unwrap()
    }

    /// A copy of the log's files at its present size.
    fn files(&self) -> Files {
        let mut files = Files(BTreeMap::from([("checkpoint".to_owned(), self.checkpoint().into_bytes())]));
        for tile in static_tiles(0, self.size()) {
            files.0.insert(tile.to_string(), self.tile(&tile, self.size()).unwrap());
        }
        files
    }
}

#[derive(Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Fetch for Files {
    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let file = self.0.get(path).ok_or(FetchError::NotFound)?;
        if file.len() > limit { Err(FetchError::TooLarge) } else { Ok(file.clone()) }
    }
}

fn find(files: &dyn Fetch, number: u64) -> Result<u64, AuditError> {
    Log::open(files, &[log_key()])?.find(&digest(number)).map(|found| {
        assert_eq!(found.entry, entry(found.index));
        found.index
    })
}

fn replay(files: &dyn Fetch) -> Result<u64, AuditError> {
    let mut seen = 0;
    Log::open(files, &[log_key()])?.replay(|_, _| seen += 1)?;
    Ok(seen)
}

fn code<T: std::fmt::Debug>(result: Result<T, AuditError>) -> &'static str {
    result.expect_err("it was believed").code()
}

/// The root by the definition in RFC 6962, section 2.1.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => tlog_tiles::EMPTY_HASH,
        [leaf] => *leaf,
        leaves => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            tlog_tiles::node_hash(root_by_definition(left), root_by_definition(right))
        }
    }
}

#[test]
fn roots_and_proofs_of_every_size_are_those_of_the_standard() {
    let mut store = Store::of([]);
    let mut roots = vec![store.root];
    for number in 0..600 {
        store.append(entry(number).to_bytes().unwrap());
        roots.push(store.root);
    }
    let leaves: Vec<_> = store.records.iter().map(|record| record_hash(record)).collect();
    for size in 0..=600_u64 {
        let now = roots[size as usize];
        assert_eq!(now, root_by_definition(&leaves[..size as usize]), "{size}");
        assert_eq!(root(size, &store.known(&root_needs(size))).unwrap(), now);
        let places = [0, 1, size / 3, size / 2, size.saturating_sub(2), size.saturating_sub(1)];
        for index in places.into_iter().filter(|index| *index < size) {
            let proof = inclusion(size, index, &store.known(&inclusion_needs(size, index))).unwrap();
            tlog_tiles::check_record(&proof, size, now, index, leaves[index as usize]).unwrap();
            let other = leaves[(index as usize + 1) % 600];
            tlog_tiles::check_record(&proof, size, now, index, other).unwrap_err();
        }
        for older in places.map(|older| older + 1).into_iter().filter(|older| *older <= size) {
            let proof = consistency(size, older, &store.known(&consistency_needs(size, older))).unwrap();
            tlog_tiles::check_tree(&proof, size, now, older, roots[older as usize]).unwrap();
            if older < size {
                tlog_tiles::check_tree(&proof, size, now, older, roots[older as usize + 1]).unwrap_err();
            }
        }
    }
}

#[test]
fn hashes_that_the_store_has_lost_and_sizes_that_no_log_has_are_refused() {
    let store = Store::of((0..7).map(entry));
    let none = HashMap::new();
    assert!(matches!(append(7, b"x", &none), Err(LogError::MissingHash(_))));
    assert!(matches!(root(7, &none), Err(LogError::MissingHash(_))));
    assert!(matches!(inclusion(7, 3, &none), Err(LogError::MissingHash(_))));
    assert!(matches!(consistency(7, 3, &none), Err(LogError::MissingHash(_))));
    for size in [TREE_SIZE_MAX + 1, u64::MAX] {
        for needs in [append_needs(size), root_needs(size), inclusion_needs(size, 1), consistency_needs(size, 1)] {
            assert!(needs.is_empty());
        }
        assert!(matches!(append(size, b"x", &store.hashes), Err(LogError::OutOfRange(_))));
        assert!(matches!(root(size, &store.hashes), Err(LogError::OutOfRange(_))));
    }
    assert!(matches!(inclusion(7, 7, &store.hashes), Err(LogError::OutOfRange(_))));
    assert!(matches!(consistency(7, 0, &store.hashes), Err(LogError::OutOfRange(_))));
    assert!(matches!(consistency(7, 8, &store.hashes), Err(LogError::OutOfRange(_))));
    assert!(append_needs(TREE_SIZE_MAX - 1).len() == 40, "what is read grows with the size's logarithm");
}

#[test]
fn a_path_of_a_tile_is_written_in_one_way() {
    for path in [
        "tile/0/000",
        "tile/0/000.p/1",
        "tile/0/000.p/255",
        "tile/entries/x001/x234/067",
        "tile/5/000.p/1",
        "tile/0/x004/x294/x967/295",
        "tile/4/000",
        "tile/entries/999.p/9",
    ] {
        assert_eq!(TilePath::parse(path).unwrap().to_string(), path);
    }
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/+0/000",
        "tile/6/000",
        "tile/63/000",
        "tile/64/000.p/1",
        "tile/200/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/5/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/1",
        "tile/0/000.p/1.p/1",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/xx01/000",
        "tile/0/ 00",
        "tile/0/../000",
        "tile/data/000",
        "tile/8/0/000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/entries/000?",
        "tile/0/x004/x294/x967/296",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/4/001.p/1",
        "tile/\u{e4}/000",
        &format!("tile/0/{}000", "x001/".repeat(1000)),
    ] {
        assert!(TilePath::parse(path).is_err(), "{path}");
    }
}

#[test]
fn a_tile_is_had_only_when_the_log_is_as_long() {
    let needs = |path: &str, size| TilePath::parse(path).unwrap().needs(size);
    for (path, size) in
        [("tile/0/000", 256), ("tile/0/000.p/7", 7), ("tile/entries/001.p/3", 259), ("tile/1/000.p/2", 512)]
    {
        assert!(needs(path, size).is_ok() && needs(path, size + 1000).is_ok(), "{path}");
        assert!(matches!(needs(path, size - 1), Err(LogError::OutOfRange(_))), "{path}");
    }
    assert_eq!(needs("tile/entries/001.p/3", 300).unwrap(), TileNeeds::Entries(256..259));
    // The example of the standard.
    let of_70000: Vec<_> = static_tiles(0, 70_000).map(|tile| tile.to_string()).collect();
    assert_eq!(of_70000.iter().filter(|path| path.starts_with("tile/0/") && !path.contains(".p/")).count(), 273);
    for path in ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"] {
        assert!(of_70000.iter().any(|of| of == path), "{path}");
    }
    assert_eq!(of_70000.len(), 273 + 1 + 2 + 1 + 273 + 1);
    let added: Vec<_> = static_tiles(510, 513).map(|tile| tile.to_string()).collect();
    assert_eq!(added, ["tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/1"]);
    assert_eq!(static_tiles(0, 0).count() + static_tiles(513, 513).count() + static_tiles(9, 5).count(), 0);
}

#[test]
fn a_bundle_that_is_cut_or_too_long_is_refused() {
    let records: [&[u8]; 3] = [b"one", b"", b"three"];
    let bundle = entry_bundle(records).unwrap();
    assert_eq!(read_bundle(&bundle, 3).unwrap(), records);
    assert_eq!(read_bundle(&bundle, 2).unwrap(), records[..2], "of a full tile the first are read");
    for cut in 0..bundle.len() {
        assert!(read_bundle(&bundle[..cut], 3).is_err());
    }
    let long = vec![b'x'; ENTRY_BYTES_MAX + 1];
    assert!(entry_bundle([long.as_slice()]).is_err());
    let mut bytes = (long.len() as u16).to_be_bytes().to_vec();
    bytes.extend(long);
    assert!(read_bundle(&bytes, 1).is_err());
}

#[test]
fn an_entry_has_one_encoding() {
    for number in [1, 5] {
        let bytes = entry(number).to_bytes().unwrap();
        assert_eq!(Entry::parse(&bytes).unwrap(), entry(number));
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replacen(',', ", ", 1),
            text.replacen("acme", "\\u0061cme", 1),
            text.replacen("\"format\":1,", "", 1),
            text.replacen("\"format\":1", "\"format\":2", 1),
            text.replacen("{\"format\":1,", "{\"version\":1,\"format\":1,", 1),
            text.replacen("\"version\":1", "\"version\":0", 1),
            text.replacen("\"time\"", "\"more\":1,\"time\"", 1),
            text.replacen(&digest(number), &digest(number).to_uppercase(), 1),
            format!("{text}\n"),
            String::new(),
        ] {
            assert_eq!(Entry::parse(other.as_bytes()).expect_err(&other).code(), "log-malformed");
        }
    }
    let changes: [fn(&mut Entry); 8] = [
        |entry| entry.tenant.clear(),
        |entry| entry.component = "a\nb".into(),
        |entry| entry.component = "x".repeat(257),
        |entry| entry.version = 0,
        |entry| entry.time = 1 << 53,
        |entry| entry.manifest = Some("x".into()),
        |entry| entry.signers = vec!["a+1".into(); 17],
        |entry| entry.signers = vec!["\"".repeat(256); 16],
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = entry(1);
        change(&mut changed);
        assert!(changed.to_bytes().is_err(), "{number}");
    }
}

#[test]
fn a_checkpoint_is_of_the_log_whose_key_signed_it() {
    let store = Store::of((0..3).map(entry));
    let opened = Checkpoint::open(&store.checkpoint(), &[log_key()]).unwrap();
    assert_eq!((opened.origin.as_str(), opened.size, opened.root), (ORIGIN, 3, store.root));
    let refused = |note: &str| Checkpoint::open(note, &[log_key()]).unwrap_err().code();
    let signed = |text: String| elias_contract::note::sign(&text, &[key(ORIGIN, 9)]).unwrap();
    let root = store.root;
    for text in [
        format!("example.com/other\n3\n{root}\n"),
        format!("{ORIGIN}\n03\n{root}\n"),
        format!("{ORIGIN}\n-3\n{root}\n"),
        format!("{ORIGIN}\n{}\n{root}\n", TREE_SIZE_MAX + 1),
        format!("{ORIGIN}\n0\n{root}\n"),
        format!("{ORIGIN}\n3\nAAAA\n"),
        format!("{ORIGIN}\n3\n"),
        "elias-component/v1\nsha256 00\n".to_owned(),
    ] {
        assert_eq!(refused(&signed(text.clone())), "log-malformed", "{text}");
    }
    assert_eq!(refused(&store.checkpoint().replacen("\n3\n", "\n2\n", 1)), "bad-signature");
    assert_eq!(refused(""), "malformed-signature");
    assert_eq!(
        Checkpoint::open(&store.checkpoint(), &[key(ORIGIN, 1).verifying_key()]).unwrap_err().code(),
        "unknown-key"
    );
    assert!(checkpoint::sign("example.com/other", 3, root, &[key(ORIGIN, 9)]).is_err());
    // While a key is exchanged both sign, and who knows either takes it.
    let both = checkpoint::sign(ORIGIN, 3, root, &[key(ORIGIN, 9), key(ORIGIN, 1)]).unwrap();
    for known in [9, 1] {
        assert_eq!(Checkpoint::open(&both, &[key(ORIGIN, known).verifying_key()]).unwrap().size, 3);
    }
}

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

/// What the state file says when a log that it knows at `seen` is shown as `now`.
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
    let other = |number: u64| Entry { sha256: digest(number + 9999), ..entry(number) };
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
    entries.push(Entry { time: 5, ..entry(3) });
    assert_eq!(replay(&Store::of(entries.clone()).files()).unwrap(), 21, "the same file twice is no contradiction");
    entries.push(Entry { sha256: digest(777), ..entry(3) });
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
    let size = audit::REPLAY_ENTRIES_MAX + 1;
    let note = checkpoint::sign(ORIGIN, size, Hash([7; 32]), &[key(ORIGIN, 9)]).unwrap();
    let files = Files(BTreeMap::from([("checkpoint".to_owned(), note.into_bytes())]));
    assert_eq!(code(find(&files, 1)), "log-too-large");
    assert_eq!(code(replay(&files)), "log-too-large");
    let log = Log::open(&files, &[log_key()]).unwrap();
    assert_eq!(code(log.check_inclusion(1, b"x")), "log-unavailable");
    assert_eq!(code(log.check_inclusion(size, b"x")), "not-found");
}

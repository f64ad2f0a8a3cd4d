//! Roots, proofs, tiles, entries and checkpoints, against RFC 6962 and C2SP.

use super::*;

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
        assert_eq!(LogEntry::parse(&bytes).unwrap(), entry(number));
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replacen(',', ", ", 1),
            text.replacen("acme", "\\u0061cme", 1),
            text.replacen("\"format\":2,", "", 1),
            text.replacen("\"format\":2", "\"format\":3", 1),
            // The settings are of the second format, and of no other.
            text.replacen("\"format\":2", "\"format\":1", 1),
            text.replacen("\"settings\"", "\"more\"", 1),
            text.replacen("{\"format\":2,", "{\"version\":1,\"format\":2,", 1),
            text.replacen("\"version\":1", "\"version\":0", 1),
            text.replacen("\"time\"", "\"more\":1,\"time\"", 1),
            text.replacen(&digest(number), &digest(number).to_uppercase(), 1),
            format!("{text}\n"),
            String::new(),
        ] {
            assert_eq!(LogEntry::parse(other.as_bytes()).expect_err(&other).code(), "log-malformed");
        }
    }
    let first = LogEntry { format: 1, settings: None, ..entry(1) };
    let bytes = first.to_bytes().expect("entries of the first format are read for good");
    assert_eq!(LogEntry::parse(&bytes).expect("read"), first);
    let changes: [fn(&mut LogEntry); 10] = [
        |entry| entry.tenant.clear(),
        |entry| entry.component = "a\nb".into(),
        |entry| entry.component = "x".repeat(257),
        |entry| entry.version = 0,
        |entry| entry.time = 1 << 53,
        |entry| entry.manifest = Some("x".into()),
        |entry| entry.settings = Some("x".into()),
        |entry| entry.settings = None,
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
fn a_proof_holds_for_its_entry_at_its_place_alone() {
    let store = Store::of((0..5).map(entry));
    let (size, index) = (store.size(), 3);
    let hashes = inclusion(size, index, &store.known(&inclusion_needs(size, index))).expect("it is in the tree");
    let checkpoint = checkpoint::sign(ORIGIN, size, store.root, &[key(ORIGIN, 9)]).expect("signed");
    let record = String::from_utf8(store.records[index as usize].clone()).expect("JSON");
    let proof = Proof { record, index, hashes: hashes.iter().map(Hash::to_string).collect(), checkpoint };
    assert_eq!(proof.open(&[log_key()]).expect("it holds"), entry(3));
    let text = serde_json::to_string(&proof).expect("JSON");
    assert_eq!(serde_json::from_str::<Proof>(&text).expect("read"), proof);
    let changes: [fn(&mut Proof); 6] = [
        |proof| proof.record = proof.record.replacen("acme", "emca", 1),
        |proof| proof.index = 2,
        |proof| proof.index = 5,
        |proof| proof.hashes.truncate(1),
        |proof| proof.hashes.swap(0, 1),
        |proof| proof.checkpoint = proof.checkpoint.replacen("\n5\n", "\n4\n", 1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = proof.clone();
        change(&mut other);
        assert!(other.open(&[log_key()]).is_err(), "change {number}");
    }
    assert!(proof.open(&[key(ORIGIN, 8).verifying_key()]).is_err(), "another key of that name");
}

//! Paths of tiles and bundles of entries: each path has one spelling, and bundles are read as they were written.
#![no_main]

use elias_transparency::{TilePath, entry_bundle, read_bundle};

libfuzzer_sys::fuzz_target!(|input: (&str, u16, &[u8])| {
    let (path, count, bytes) = input;
    if let Ok(tile) = TilePath::parse(path) {
        assert_eq!(tile.to_string(), path);
        assert_eq!(TilePath::parse(&tile.full().to_string()).expect("a full tile has a path"), tile.full());
        let _ = tile.needs(u64::from(count));
    }
    if let Ok(entries) = read_bundle(bytes, count) {
        assert_eq!(entries.len(), usize::from(count));
        // Of a full tile the first are read.
        assert!(bytes.starts_with(&entry_bundle(entries).expect("it was one")));
    }
});

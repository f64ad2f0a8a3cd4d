//! The log against RFC 6962's definition, and the audit against logs that lie.

mod audit;
mod log;

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

fn entry(number: u64) -> LogEntry {
    LogEntry {
        format: ENTRY_FORMAT,
        tenant: "acme".into(),
        component: format!("component-{}", number % 7),
        version: number / 7 + 1,
        sha256: digest(number),
        manifest: (!number.is_multiple_of(5)).then(|| digest(number + 1_000_000)),
        settings: Some(digest(number + 2_000_000)),
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
    fn of(entries: impl IntoIterator<Item = LogEntry>) -> Self {
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

    /// The file that would be served for a path, in a log of `size` entries.
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

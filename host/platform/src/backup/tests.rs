//! Archives: one that is right, and what hostile and broken ones do.

use super::archive::is_database;
use super::*;
use crate::vault::Vault;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_api::{Actor, TenantSettings, VersionSettings};
use elias_names::{Digest, ServiceId};
use elias_store::{NewVersion, STORE_FILE};
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use tar::{EntryType, Header};

const ARTIFACT: &[u8] = b"the bytes of a component";

fn shop() -> ServiceId {
    let (tenant, component) = ("a".parse().expect("a name"), "shop".parse().expect("a name"));
    ServiceId { tenant, component, environment: elias_names::Environment::Production }
}

/// A data directory with a version, its artifact, a secret, keys and a component's database.
async fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let dir = Dir::open_ambient_dir(path, ambient_authority()).expect("it is there");
    let log_key = crate::log::open_key(&dir, "test/log").expect("a key");
    std::fs::write(path.join("operator-token"), "elias_a_b\n").expect("ours");
    let store = Store::open(path, None).expect("it opens");
    store.set_log_key(&log_key.verifying_key().to_string()).await.expect("said");
    let id = shop();
    let mut scope = store.write(&id.tenant).await.expect("a scope");
    scope.create_tenant(&TenantSettings::default(), &Actor::host()).await.expect("made");
    let number = scope.next_version(&id.component, 10).await.expect("a number");
    let (digest, settings) = (Digest::of(ARTIFACT), VersionSettings::default());
    scope.insert_artifact(&digest, ARTIFACT.len() as u64).await.expect("stored");
    let new = NewVersion {
        component: &id.component,
        number,
        digest: &digest,
        bytes: ARTIFACT.len() as u64,
        manifest: None,
        settings: &settings,
        signature: None,
        signed_by: None,
        log_index: 0,
    };
    scope.insert_version(&new, &Actor::host()).await.expect("stored");
    let sealed = Vault::open(&dir).expect("a key").seal(&id, "TOKEN", "s3cret").expect("sealed");
    scope.set_secret(&id, "TOKEN", &sealed, &Actor::host()).await.expect("set");
    scope.commit().await.expect("committed");
    store.close().await.expect("closed");
    let parent = path.join("artifacts").join(&digest.as_str()[..2]);
    std::fs::create_dir_all(&parent).expect("ours");
    std::fs::write(parent.join(digest.as_str()), ARTIFACT).expect("ours");
    std::fs::create_dir_all(path.join(DATABASES)).expect("ours");
    let database = rusqlite::Connection::open(path.join(DATABASES).join("c_shop_1.sqlite")).expect("it opens");
    database
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t (rowid, x) VALUES (7, 'kept')")
        .expect("SQL");
    drop(database);
    folder
}

/// The entries of its archive: names and contents.
fn entries(data_dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut file =
        write(data_dir, &data_dir.join(STORE_FILE), vec![Digest::of(ARTIFACT).to_string()]).expect("an archive");
    file.rewind().expect("a file");
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().expect("an archive").map(|entry| {
        let mut entry = entry.expect("an entry");
        assert_eq!(entry.header().mode().expect("a mode"), 0o600);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it is whole");
        (entry.path().expect("a path").display().to_string(), bytes)
    });
    entries.collect()
}

/// An entry as an attacker writes it.
fn append(archive: &mut tar::Builder<Vec<u8>>, kind: EntryType, name: &str, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().expect("it is GNU's").name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    archive.append(&header, bytes).expect("written");
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    entries.iter().for_each(|(name, bytes)| append(&mut archive, EntryType::Regular, name, bytes));
    archive.into_inner().expect("written")
}

/// Restores into a folder that is not there, and into one that is there and empty; what it says must be the same.
async fn restored(archive: &[u8]) -> std::result::Result<(RestoreReport, tempfile::TempDir), String> {
    let outer = tempfile::tempdir().expect("a folder");
    let target = outer.path().join("new");
    let first = restore(archive, &target).await;
    let empty = outer.path().join("empty");
    std::fs::create_dir(&empty).expect("ours");
    let second = restore(archive, &empty).await;
    assert_eq!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    match first {
        Ok(restored) => Ok((restored, outer)),
        Err(error) => {
            assert_eq!(error.code(), Code::BadInput, "{error}");
            assert!(!target.exists(), "it leaves nothing behind");
            assert_eq!(std::fs::read_dir(&empty).expect("it stays").count(), 0, "it leaves nothing behind");
            assert_eq!(std::fs::read_dir(outer.path()).expect("ours").count(), 1, "nor beside it");
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up_with_modes_of_ours() {
    let data = data().await;
    let entries = entries(data.path());
    assert_eq!(entries[0].0, CONTENTS);
    let (found, folder) = restored(&archive(&entries)).await.expect("it is whole");
    assert_eq!((found.artifacts, found.databases, found.secrets), (1, 1, 1));
    assert_eq!(found.notes, Vec::<String>::new());
    let target = folder.path().join("new");
    assert_eq!(
        crate::data_dir::open_to_others(&target).expect("read"),
        Vec::<PathBuf>::new(),
        "whatever the archive says"
    );
    let modes = |name: &str| std::fs::metadata(target.join(name)).expect(name).permissions().mode() & 0o7777;
    assert_eq!((modes(""), modes("secret.key"), modes("artifacts")), (0o700, 0o600, 0o700));
    let database = rusqlite::Connection::open(target.join(DATABASES).join("c_shop_1.sqlite")).expect("it opens");
    let row = database.query_row("SELECT rowid, x FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(row.expect("a row"), (7, "kept".to_owned()), "row ids stay");
    // An archive of a release that said nothing of its contents.
    restored(&archive(&entries[1..])).await.expect("it is whole");
}

#[tokio::test]
async fn a_database_is_copied_as_of_one_moment_while_it_is_written_to() {
    let data = data().await;
    let file = data.path().join(DATABASES).join("c_shop_1.sqlite");
    let writer = rusqlite::Connection::open(&file).expect("it opens");
    writer.execute_batch("CREATE TABLE pairs (a, b); INSERT INTO pairs VALUES (0, 0)").expect("SQL");
    let writing = std::sync::atomic::AtomicBool::new(true);
    let running = &writing;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut number = 0;
            while running.load(std::sync::atomic::Ordering::Relaxed) {
                number += 1;
                writer.execute("UPDATE pairs SET a = ?1, b = ?1", [number]).expect("SQL");
            }
        });
        for number in 0..20 {
            let copy = data.path().join(format!("copy{number}"));
            copy_database(&file, &copy).expect("it is copied");
            let copy = rusqlite::Connection::open(copy).expect("it opens");
            let pair =
                copy.query_row("SELECT a, b FROM pairs", [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
            let (a, b) = pair.expect("a row");
            assert_eq!(a, b);
        }
        writing.store(false, std::sync::atomic::Ordering::Relaxed);
    });
}

#[tokio::test]
async fn an_archive_is_refused_for_whatever_no_backup_has() {
    let data = data().await;
    let good = entries(data.path());
    let digest = Digest::of(ARTIFACT).to_string();
    let other = Digest::of(b"other").to_string();
    let with = |name: &str, bytes: &[u8]| {
        let mut all = good.clone();
        all.push((name.to_owned(), bytes.to_vec()));
        archive(&all)
    };
    let instead = |name: &str, bytes: &[u8]| {
        let mut all = good.clone();
        all.iter_mut().filter(|(entry, _)| entry.ends_with(name)).for_each(|(_, content)| *content = bytes.to_vec());
        archive(&all)
    };
    let without =
        |name: &str| archive(&good.iter().filter(|(entry, _)| !entry.ends_with(name)).cloned().collect::<Vec<_>>());
    let kind = |kind: EntryType, name: &str, bytes: &[u8]| {
        let mut archive = tar::Builder::new(Vec::new());
        good.iter().for_each(|(name, bytes)| append(&mut archive, EntryType::Regular, name, bytes));
        append(&mut archive, kind, name, bytes);
        archive.into_inner().expect("written")
    };
    let damaged_store = {
        let mut store = good.iter().find(|(name, _)| name == STORE_FILE).expect("it has one").1.clone();
        store[4096..8192].fill(0xff);
        store
    };
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let foreign_log = elias_contract::note::SigningKey::from_seed("test/log", &[7; 32]).expect("a key").to_text();
    for (what, bytes, said) in [
        ("an entry twice", with("secret.key", key.as_bytes()), "secret.key twice"),
        ("an artifact twice", with(&format!("artifacts/{}/{digest}", &digest[..2]), ARTIFACT), "twice"),
        ("another file", with("notes.txt", b"x"), "notes.txt"),
        ("a path upwards", with("../outside", b"x"), "outside"),
        ("a path upwards below a folder", with(&format!("artifacts/../{digest}"), b"x"), "no backup has"),
        ("a path from the root", with("/etc/passwd", b"x"), "passwd"),
        ("a name that is not a digest", with("artifacts/ab/run.sh", b"x"), "run.sh"),
        ("a digest in another's folder", with(&format!("artifacts/zz/{digest}"), ARTIFACT), "no backup has"),
        (
            "an artifact that nobody knows",
            with(&format!("artifacts/{}/{other}", &other[..2]), b"other"),
            "does not refer to the artifact",
        ),
        ("an artifact with other bytes", instead(&digest, b"something else"), "is damaged"),
        ("an artifact that is missing", without(&digest), "missing"),
        ("a key that opens nothing", instead("secret.key", key.as_bytes()), "opens none of its 1 secrets"),
        ("a key that is none", instead("secret.key", b"short"), "secret.key"),
        ("a key as large as memory", instead("log.key", &[b'x'; 5_000]), "at most 4096"),
        ("another log's key", instead("log.key", foreign_log.as_bytes()), "is not the key"),
        ("a token that is none", instead("operator-token", b"\x1b[2J"), "operator-token"),
        ("no store", without(STORE_FILE), "must contain a store"),
        ("a store that is none", instead(STORE_FILE, &[b'x'; 8_192]), "its store is damaged: file is not a database"),
        ("a store that is empty", instead(STORE_FILE, b""), "its store"),
        ("a store that is damaged", instead(STORE_FILE, &damaged_store), "its store is damaged"),
        (
            "a database that is damaged",
            instead("c_shop_1.sqlite", &[b'x'; 8_192]),
            "the database c_shop_1.sqlite is damaged",
        ),
        ("a database that is missing", without("c_shop_1.sqlite"), "c_shop_1.sqlite"),
        ("a database's log", with("databases/db/c_shop_1.sqlite-wal", b"x"), "no backup has"),
        ("a link", kind(EntryType::Symlink, "secret.key.old", b""), "no backup has"),
        ("a link by a good name", kind(EntryType::Symlink, "databases/db/x.sqlite", b""), "no backup has"),
        ("a hard link", kind(EntryType::Link, "databases/db/x.sqlite", b""), "no backup has"),
        ("a fifo", kind(EntryType::Fifo, "databases/db/x.sqlite", b""), "no backup has"),
        ("a device", kind(EntryType::Char, "databases/db/x.sqlite", b""), "no backup has"),
        ("a sparse file", kind(EntryType::GNUSparse, "databases/db/x.sqlite", b""), "no backup has"),
        ("a long name", kind(EntryType::GNULongName, "././@LongLink", &[b'a'; 100_000]), "no backup has"),
        ("a long link", kind(EntryType::GNULongLink, "././@LongLink", &[b'a'; 100_000]), "no backup has"),
        ("an extended header", kind(EntryType::XHeader, "pax", b"20 path=secret.key\n"), "no backup has"),
        ("a global header", kind(EntryType::XGlobalHeader, "pax", b"20 path=secret.key\n"), "no backup has"),
        ("a folder elsewhere", kind(EntryType::Directory, "services/", b""), "no backup has"),
        ("an archive that breaks off", archive(&good)[..3_000].to_vec(), "archive"),
        ("nothing", Vec::new(), "must contain a store"),
        ("no archive", vec![b'x'; 5_000], "archive"),
    ] {
        let refused = restored(&bytes).await.err().unwrap_or_else(|| panic!("{what}: it was restored"));
        assert!(refused.contains(said), "{what}: {refused}");
    }
}

/// An archive that says of one entry that it has very many bytes, and gives as many as anybody reads.
struct Endless {
    header: std::io::Cursor<Vec<u8>>,
    given: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.header.read(buffer)? {
            0 => {
                buffer.fill(b'a');
                self.given += buffer.len() as u64;
                Ok(buffer.len())
            }
            read => Ok(read),
        }
    }
}

#[tokio::test]
async fn what_an_entry_says_of_its_size_costs_nothing() {
    for (kind, name) in [
        (EntryType::GNULongName, "././@LongLink"),
        (EntryType::XHeader, "pax"),
        (EntryType::Regular, "secret.key"),
        (EntryType::Regular, CONTENTS),
    ] {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().expect("it is GNU's").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(2 << 30);
        header.set_cksum();
        let mut archive = Endless { header: std::io::Cursor::new(header.as_bytes().to_vec()), given: 0 };
        let folder = tempfile::tempdir().expect("a folder");
        let error = restore(&mut archive, &folder.path().join("new")).await.expect_err("it is refused");
        assert_eq!(error.code(), Code::BadInput, "{name}: {error}");
        assert!(archive.given < 1 << 20, "{name}: {} bytes were read", archive.given);
    }
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_left_as_it_is() {
    let data = data().await;
    let bytes = archive(&entries(data.path()));
    let error = restore(&*bytes, data.path()).await.expect_err("it is not empty");
    assert_eq!(error.code(), Code::WrongState);
    assert!(data.path().join(STORE_FILE).exists());
}

#[test]
fn databases_are_named_as_the_capability_names_them() {
    for (name, good) in [
        ("c_default_shop_production_0123456789abcdef.sqlite", true),
        ("orders.sqlite", true),
        (".sqlite", false),
        ("orders.sqlite-wal", false),
        ("orders", false),
        ("../orders.sqlite", false),
        ("Orders.sqlite", false),
    ] {
        assert_eq!(is_database(name), good, "{name}");
    }
}

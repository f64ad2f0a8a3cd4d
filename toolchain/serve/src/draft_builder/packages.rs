//! The npm packages of a draft: those that its package-lock.json names, from the registry that the operator named.
//!
//! Nothing of npm runs, and no script of a package: a tarball is compared with the lockfile's hash and unpacked. The
//! registry's URL in the lockfile is not used.

use super::BuildFolder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_advisories::Package;
use elias_api::{Code, Error, Result};
use elias_capabilities::http::PublicFetch;
use flate2::read::GzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha512};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tar::PaxExtensions;

/// The lockfile of npm.
const LOCKFILE: &str = "package-lock.json";
/// Packages of a draft.
const PACKAGES_MAX: usize = 300;
/// Bytes of a package as it is sent.
const TARBALL_BYTES_MAX: usize = 16 << 20;
/// Bytes of all packages of a draft, unpacked.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;
/// Files and folders of all packages of a draft.
const FILES_MAX: usize = 20_000;
/// Bytes of an entry of an archive that names the next file.
const NAMING_BYTES_MAX: u64 = 64 << 10;

/// A package that the lockfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockedPackage {
    /// Where it belongs in the project, such as `node_modules/zod`.
    folder: String,
    name: String,
    version: String,
    /// The lockfile's hashes, of which one is `sha512-BASE64`.
    integrity: Vec<String>,
}

/// The lockfile, versions 2 and 3: packages by their folders.
#[derive(Deserialize)]
struct Lockfile {
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// The name in the registry, where the folder has another one.
    name: Option<String>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    integrity: String,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
}

impl LockedPackage {
    /// As policies know it.
    pub(super) fn package(&self) -> Package {
        Package { name: self.name.clone(), version: self.version.clone(), integrity: self.integrity.clone() }
    }

    /// The URL of its tarball in a registry, whose URL does not end with a slash.
    fn url(&self, registry: &str) -> String {
        let Self { name, version, .. } = self;
        let base = name.rsplit('/').next().unwrap_or_default();
        format!("{registry}/{name}/-/{base}-{version}.tgz")
    }

    fn is_intact(&self, tarball: &[u8]) -> bool {
        let mut wanted = self.integrity.iter().filter_map(|hash| STANDARD.decode(hash.strip_prefix("sha512-")?).ok());
        let digest = Sha512::digest(tarball);
        wanted.any(|wanted| wanted == digest.as_slice())
    }
}

/// The packages that a draft's lockfile names, but for those of development; none without a lockfile.
///
/// # Errors
/// `bad-input` for a lockfile that is none, and for packages without a SHA-512; `too-large`.
pub(super) fn read(files: &BTreeMap<String, String>) -> Result<Vec<LockedPackage>> {
    let Some(text) = files.get(LOCKFILE) else { return Ok(Vec::new()) };
    let bad = |why: String| Error::new(Code::BadInput, format!("{LOCKFILE}: {why}"));
    let lockfile: Lockfile = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let mut packages = Vec::new();
    for (folder, entry) in lockfile.packages {
        if folder.is_empty() || entry.dev {
            continue;
        }
        let shown: String = folder.chars().take(200).collect();
        let shown = shown.escape_debug();
        let name = match (entry.name, folder.rsplit_once("node_modules/")) {
            (Some(name), Some(_)) => name,
            (None, Some((_, name))) => name.to_owned(),
            (_, None) => return Err(bad(format!("{shown} is not in node_modules"))),
        };
        if entry.link || !is_name(&name) || !is_folder(&folder) || !is_version(&entry.version) {
            return Err(bad(format!("{shown} is not a package of a registry")));
        }
        let integrity: Vec<String> = entry.integrity.split_whitespace().map(str::to_owned).collect();
        if !integrity.iter().any(|hash| hash.starts_with("sha512-")) {
            return Err(bad(format!("{shown} has no SHA-512: write the lockfile anew, with npm install")));
        }
        packages.push(LockedPackage { folder, name, version: entry.version, integrity });
    }
    if packages.len() > PACKAGES_MAX {
        let message = format!("{LOCKFILE} names {} packages; at most {PACKAGES_MAX} are installed", packages.len());
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(packages)
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(good);
    let (scope, base) = match name.strip_prefix('@').map(|rest| rest.split_once('/')) {
        None => (None, name),
        Some(Some((scope, base))) => (Some(scope), base),
        Some(None) => return false,
    };
    name.len() <= 214 && is_part(base) && scope.is_none_or(is_part)
}

fn is_version(version: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+');
    !version.is_empty() && version.len() <= 128 && version.chars().all(good)
}

/// Whether a folder is one of a package, or of a package in a package.
fn is_folder(folder: &str) -> bool {
    let mut names = folder.split("node_modules/");
    let begins = names.next() == Some("");
    begins && folder.len() <= 512 && names.all(|name| is_name(name.strip_suffix('/').unwrap_or(name)))
}

/// Fetches packages and unpacks them into a project.
///
/// # Errors
/// `integrity-mismatch` for a package that is not what the lockfile says; `bad-input` for one that cannot be unpacked;
/// `too-large`; `builds-unavailable` if the registry does not give one; `storage-failed`, `no-space-left`.
pub(super) async fn install(
    fetch: &PublicFetch,
    registry: &str,
    packages: Vec<LockedPackage>,
    project: &Arc<BuildFolder>,
) -> Result<()> {
    let mut room = Room { bytes: UNPACKED_BYTES_MAX, files: FILES_MAX };
    for package in packages {
        let tarball = fetch.get_within(&package.url(registry), TARBALL_BYTES_MAX).await.map_err(|why| {
            let message = format!("the registry did not give {}@{}: {why}", package.name, package.version);
            Error::new(Code::BuildsUnavailable, message)
        })?;
        // The folder stays until this thread is done with it, also when nobody waits for the build any more.
        let project = Arc::clone(project);
        let unpacked = tokio::task::spawn_blocking(move || {
            let (name, version) = (&package.name, &package.version);
            if !package.is_intact(&tarball) {
                let message = format!("{name}@{version} of the registry is not what {LOCKFILE} says it must be");
                return Err(Error::new(Code::IntegrityMismatch, message));
            }
            let unpacked = unpack(&tarball, &project.path().join(&package.folder), room);
            unpacked.map_err(|error| Error::new(error.code(), format!("{name}@{version}: {error}")))
        });
        room = unpacked.await.map_err(|panic| Error::new(Code::Internal, format!("unpacking: {panic}")))??;
    }
    Ok(())
}

/// What may still be unpacked.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    files: usize,
}

/// Unpacks the files of a package into its folder; gives the room that is left. Links and devices are left out, and so
/// is the first folder of every path, as npm does it.
///
/// # Errors
/// `bad-input` for an archive that cannot be read or whose paths cannot be made; `too-large`; `storage-failed`,
/// `no-space-left`.
fn unpack(tarball: &[u8], folder: &Path, mut room: Room) -> Result<Room> {
    let too_large = || {
        let message = format!(
            "the packages have more than {UNPACKED_BYTES_MAX} bytes, or {FILES_MAX} files and folders, together: use \
             fewer ones"
        );
        Error::new(Code::TooLarge, message)
    };
    // What is left out is decompressed too.
    let mut archive = tar::Archive::new(GzDecoder::new(tarball).take(2 * UNPACKED_BYTES_MAX));
    let mut next_name = None;
    // Raw, since `tar` reads the entries that name the next one into memory, however long they are.
    for entry in archive.entries().map_err(|error| unreadable(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
            next_name = read_name(&mut entry)?;
            continue;
        }
        let name: Vec<u8> = next_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        if !kind.is_file() {
            continue;
        }
        let path: PathBuf = Path::new(OsStr::from_bytes(&name)).components().skip(1).collect();
        let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || path.as_os_str().is_empty() {
            continue;
        }
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        // A path may name a thousand folders.
        let created = 1 + parent.ancestors().take_while(|folder| !folder.exists()).count();
        room.files = room.files.checked_sub(created).ok_or_else(too_large)?;
        std::fs::create_dir_all(parent).map_err(of_file)?;
        let mut file = File::create(file).map_err(of_file)?;
        let mut content = entry.by_ref().take(room.bytes.saturating_add(1));
        let copied = io::copy(&mut content, &mut file).map_err(of_file)?;
        room.bytes = room.bytes.checked_sub(copied).ok_or_else(too_large)?;
    }
    Ok(room)
}

/// The name that an entry has for the next one; none if it says something else of it.
fn read_name(entry: &mut tar::Entry<'_, impl Read>) -> Result<Option<Vec<u8>>> {
    let is_name = entry.header().entry_type().is_gnu_longname();
    let mut bytes = Vec::new();
    let read = entry.by_ref().take(NAMING_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > NAMING_BYTES_MAX {
        return Err(unreadable(&format_args!("the name of a file has more than {NAMING_BYTES_MAX} bytes")));
    }
    if is_name {
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        return Ok(Some(bytes));
    }
    let path = PaxExtensions::new(&bytes).flatten().find(|extension| extension.key_bytes() == b"path");
    Ok(path.map(|extension| extension.value_bytes().to_vec()))
}

fn unreadable(why: &dyn std::fmt::Display) -> Error {
    Error::new(Code::BadInput, format!("the package cannot be unpacked: {why}"))
}

/// An error of writing a file of an archive. It is the archive's where no disk could have such a file, or where it is
/// cut short; else it is the host's.
fn of_file(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists
        | ErrorKind::InvalidData
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::UnexpectedEof => unreadable(&error),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    fn read_entries(packages: serde_json::Value) -> std::result::Result<Vec<LockedPackage>, Code> {
        let text = json!({ "lockfileVersion": 3, "packages": packages }).to_string();
        read(&BTreeMap::from([(LOCKFILE.to_owned(), text)])).map_err(|error| error.code())
    }

    #[test]
    fn a_lockfile_names_packages_of_a_registry_and_nothing_else() {
        let sha = "sha512-x";
        let good = json!({
            "": { "name": "shop" },
            "node_modules/zod": { "version": "4.2.0", "integrity": sha, "resolved": "http://127.0.0.1/evil.tgz" },
            "node_modules/@a/b/node_modules/c": { "version": "1.0.0-rc.1+x", "integrity": sha },
            "node_modules/typescript": { "version": "5.9.0", "dev": true },
        });
        let found = read_entries(good).expect("they are good");
        let urls: Vec<_> = found.iter().map(|package| package.url("https://npm.example")).collect();
        assert_eq!(urls, ["https://npm.example/c/-/c-1.0.0-rc.1+x.tgz", "https://npm.example/zod/-/zod-4.2.0.tgz"]);
        for (folder, entry) in [
            ("node_modules/../../x", json!({ "version": "1.0.0", "integrity": sha })),
            ("node_modules/a/../b", json!({ "version": "1.0.0", "integrity": sha })),
            ("packages/a", json!({ "version": "1.0.0", "integrity": sha })),
            ("x/node_modules/a", json!({ "version": "1.0.0", "integrity": sha })),
            ("node_modules/a", json!({ "version": "../../x", "integrity": sha })),
            ("node_modules/a", json!({ "version": "1.0.0", "integrity": sha, "name": "../x" })),
            ("node_modules/a", json!({ "version": "1.0.0", "integrity": sha, "link": true })),
            ("node_modules/a", json!({ "version": "1.0.0", "integrity": "sha1-x" })),
            ("node_modules/a", json!({ "version": "1.0.0" })),
        ] {
            assert_eq!(read_entries(json!({ folder: entry })), Err(Code::BadInput), "{folder} {entry}");
        }
        let entry = json!({ "version": "1.0.0", "integrity": sha });
        let many: BTreeMap<_, _> =
            (0..=PACKAGES_MAX).map(|at| (format!("node_modules/p{at}"), entry.clone())).collect();
        assert_eq!(read_entries(json!(many)), Err(Code::TooLarge));
        assert_eq!(read(&BTreeMap::new()).expect("no lockfile"), []);
    }

    /// A tarball with one file of this name, whose path is not looked at.
    fn tarball(path: &str, content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).expect("in memory");
        builder.into_inner().expect("in memory").finish().expect("in memory")
    }

    #[test]
    fn a_package_is_unpacked_into_its_folder_within_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("node_modules/a");
        let room = Room { bytes: 5, files: 5 };
        let left = unpack(&tarball("package/lib/index.js", b"12345"), &inner, room).expect("it fits");
        assert_eq!((left.bytes, left.files), (0, 1), "a file and three folders");
        assert_eq!(std::fs::read(inner.join("lib/index.js")).expect("it is there"), b"12345");
        let too_many = unpack(&tarball("package/b.js", b"123456"), &inner, room).expect_err("too many bytes");
        assert_eq!(too_many.code(), Code::TooLarge);
        let none = Room { bytes: 5, files: 0 };
        assert_eq!(unpack(&tarball("package/c.js", b"1"), &inner, none).expect_err("a file").code(), Code::TooLarge);
        let deep = tarball(&format!("package/{}c.js", "a/".repeat(5)), b"1");
        assert_eq!(unpack(&deep, &inner, room).expect_err("five folders and a file").code(), Code::TooLarge);
        assert!(!inner.join("a").exists());
        unpack(&tarball("package/../../../x", b"1"), &inner, room).expect("it is left out");
        assert!(!folder.path().join("x").exists() && !folder.path().join("node_modules/x").exists());
    }

    /// An archive with an entry that names the next one, and that one.
    fn named(kind: tar::EntryType, naming: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (kind, content) in [(kind, naming), (tar::EntryType::Regular, &b"1"[..])] {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..9].copy_from_slice(b"package/x");
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).expect("in memory");
        }
        builder.into_inner().expect("in memory").finish().expect("in memory")
    }

    #[test]
    fn long_names_are_taken_within_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Room { bytes: 5, files: 2 };
        let (gnu, pax) = (tar::EntryType::GNULongName, tar::EntryType::XHeader);
        for (kind, naming, path) in [
            (gnu, &b"package/gnu.js\0"[..], "gnu.js"),
            (pax, &b"21 path=package/p.js\n"[..], "p.js"),
            (pax, &b"11 size=99\n"[..], "x"),
        ] {
            unpack(&named(kind, naming), folder.path(), room).expect(path);
            assert_eq!(std::fs::read(folder.path().join(path)).expect(path), b"1", "{path}");
        }
        let bomb = vec![b'a'; usize::try_from(NAMING_BYTES_MAX).expect("it fits") + 1];
        for kind in [gnu, pax] {
            let refused = unpack(&named(kind, &bomb), folder.path(), room).expect_err("too long");
            assert_eq!(refused.code(), Code::BadInput);
        }
    }

    #[test]
    fn a_package_that_cannot_be_unpacked_is_no_fault_of_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Room { bytes: 5, files: 9 };
        unpack(&tarball("package/a", b"1"), folder.path(), room).expect("a file");
        unpack(&tarball("package/b/c", b"1"), folder.path(), room).expect("a file in a folder");
        let long = named(tar::EntryType::GNULongName, &[b"package/".as_slice(), &[b'x'; 300]].concat());
        for bad in [tarball("package/a/b", b"1"), tarball("package/b", b"1"), long, b"no archive".to_vec()] {
            let refused = unpack(&bad, folder.path(), room).expect_err("it cannot be");
            assert_eq!(refused.code(), Code::BadInput, "{refused}");
        }
    }

    #[test]
    fn a_package_must_be_what_the_lockfile_says() {
        let bytes = b"a tarball";
        let hash = format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)));
        let package = LockedPackage {
            folder: "node_modules/a".into(),
            name: "a".into(),
            version: "1.0.0".into(),
            integrity: vec!["sha1-x".into(), hash],
        };
        assert!(package.is_intact(bytes) && !package.is_intact(b"another"));
    }
}

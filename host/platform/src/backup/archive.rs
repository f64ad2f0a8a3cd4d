//! The entries of the archive: which are allowed, and how each is written and named.

use elias_api::{Code, Error, Result};
use elias_names::Digest;
use elias_store::STORE_FILE;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use tar::{EntryType, Header};

/// The kinds of entries in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ArchiveEntry {
    /// The description of the archive.
    Contents,
    /// The store.
    Store,
    /// A key, by its file's name.
    Key(&'static str),
    /// An artifact.
    Artifact(Digest),
    /// A component's database, by its file's name.
    Database(String),
}

impl ArchiveEntry {
    /// The kind of the entry with this path; `None` if no backup has it.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path == super::CONTENTS {
            return Some(Self::Contents);
        }
        if path == STORE_FILE {
            return Some(Self::Store);
        }
        if let Some(key) = super::KEYS.into_iter().find(|key| *key == path) {
            return Some(Self::Key(key));
        }
        if let Some(name) = path.strip_prefix(super::DATABASES).and_then(|rest| rest.strip_prefix('/')) {
            return is_database(name).then(|| Self::Database(name.to_owned()));
        }
        let (parent, name) = path.strip_prefix("artifacts/")?.split_once('/')?;
        let digest: Digest = name.parse().ok()?;
        (parent == &name[..2]).then_some(Self::Artifact(digest))
    }

    /// Its path in the data directory.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Contents => super::CONTENTS.to_owned(),
            Self::Store => STORE_FILE.to_owned(),
            Self::Key(name) => (*name).to_owned(),
            Self::Artifact(digest) => format!("artifacts/{}/{digest}", &digest.as_str()[..2]),
            Self::Database(name) => format!("{}/{name}", super::DATABASES),
        }
    }
}

/// Whether a file has a name that the db capability gives to one: what is beside it (`-wal`, `-shm`) has not.
pub(super) fn is_database(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let stem = name.strip_suffix(".sqlite").unwrap_or_default();
    !stem.is_empty() && stem.len() <= 64 && stem.bytes().all(good)
}

/// Writes an archive into a file without a name.
pub(super) struct Writer(tar::Builder<File>);

impl Writer {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!("backup.{}.tar", ulid::Ulid::new()));
        let mut options = File::options();
        let options = options.create_new(true).read(true).write(true);
        let file = std::os::unix::fs::OpenOptionsExt::mode(options, 0o600).open(&path)?;
        // From here on the space is given back when the file is closed, however that comes about.
        std::fs::remove_file(&path)?;
        Ok(Self(tar::Builder::new(file)))
    }

    /// Appends an entry with this many bytes.
    pub(super) fn append(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(bytes);
        header.set_mtime(u64::try_from(elias_store::now_ms() / 1_000).unwrap_or(0));
        self.0.append_data(&mut header, name, content)
    }

    pub(super) fn append_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(Code::ArtifactMissing, format!("{name} is gone: {error}")),
            _ => error.into(),
        };
        let file = File::open(path).map_err(missing)?;
        let bytes = file.metadata()?.len();
        Ok(self.append(name, bytes, file)?)
    }

    pub(super) fn finish(self) -> io::Result<File> {
        let mut file = self.0.into_inner()?;
        file.rewind()?;
        Ok(file)
    }
}

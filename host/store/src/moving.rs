//! A platform's store, moved from the SQLite file in its data directory to a PostgreSQL.

use crate::error::{Error, Result};
use crate::{STORE_FILE, Store};
use elias_api::Code;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The name of the file once the store is elsewhere: a host that is started without `--store` must not go on with
/// it.
const MOVED: &str = "platform.sqlite.moved";

/// The result of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedStore {
    /// The tables, and how many rows each has on both sides.
    pub rows: Vec<(&'static str, u64)>,
    /// The store's identity, which stays the same.
    pub identity: String,
    /// Where the file is now. It can be deleted.
    pub file: PathBuf,
}

/// Moves the store of a platform that is stopped, and whose data directory the caller has locked, from
/// `platform.sqlite` in its data directory to the PostgreSQL at `url`, which must be empty. Artifacts, keys and
/// databases stay where they are.
///
/// # Errors
/// `wrong-state` if the database is not empty; `store-unavailable`. Nothing has changed then.
pub async fn move_store(data_dir: &Path, url: &str) -> Result<MovedStore> {
    // The data directory belongs to the store that is moved, and not yet to what the database is: another folder stands
    // for it.
    let folder = Beside::new(data_dir)?;
    let (from, to) = (Store::open(data_dir, None)?, Store::open(&folder.0, Some(url))?);
    let identity = from.identity().await?.to_owned();
    let rows = from.copy_into(&to).await?;
    to.close().await?;
    // As the host will find it, from the data directory.
    let moved = Store::open(data_dir, Some(url))?;
    let found = moved.identity().await?;
    if found != identity {
        return Err(Error::new(Code::Internal, format!("the store {identity} became {found}")));
    }
    let size = moved.check_log().await?;
    let known = moved.host_read().await?.log_hashes(&elias_transparency::root_needs(size)).await?;
    elias_transparency::root(size, &known).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    moved.close().await?;
    from.close().await?;
    let file = data_dir.join(MOVED);
    std::fs::rename(data_dir.join(STORE_FILE), &file)?;
    Ok(MovedStore { rows, identity, file })
}

/// A folder that is removed when it is not needed any more.
struct Beside(PathBuf);

impl Beside {
    fn new(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(format!("moving.{}", ulid::Ulid::new()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

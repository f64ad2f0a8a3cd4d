//! Moves the store of a stopped platform.

use crate::data_dir::lock;
use elias_api::{Code, Error, Result};
use elias_store::{MovedStore, STORE_FILE};
use std::path::Path;

/// Moves the store of a platform that is stopped from `platform.sqlite` in its data directory to the PostgreSQL at
/// `url`, which must be empty. Artifacts, keys and databases stay where they are.
///
/// # Errors
/// `in-use` if a platform serves from the data directory, `wrong-state` if the database is not empty, `store-missing`
/// if there is no file; `store-unavailable`. Nothing has changed then.
pub async fn move_store(data_dir: &Path, url: &str) -> Result<MovedStore> {
    if !data_dir.join(STORE_FILE).is_file() {
        let message = format!("{} has no {STORE_FILE}: name the data directory of a platform", data_dir.display());
        return Err(Error::new(Code::StoreMissing, message));
    }
    let _lock = lock(data_dir)?;
    Ok(elias_store::move_store(data_dir, url).await?)
}

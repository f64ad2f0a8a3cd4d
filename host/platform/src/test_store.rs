//! Stores for tests, each with the data directory that is removed with it.

use elias_api::{Actor, TenantSettings};
use elias_names::TenantId;
use elias_store::Store;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A store on SQLite.
pub(crate) fn sqlite() -> (Store, TempDir) {
    open(None)
}

/// A store on a database of its own on the server of the tests (where ELIAS_TEST_POSTGRES is set).
pub(crate) fn postgres() -> Option<(Store, TempDir)> {
    let server = std::env::var("ELIAS_TEST_POSTGRES").ok()?;
    let programs = std::env::var("ELIAS_TEST_POSTGRES_BIN").expect("it is set beside the server's URL");
    let name = format!("platform_{}", ulid::Ulid::new().to_string().to_lowercase());
    let mut psql = Command::new(Path::new(&programs).join("psql"));
    let made = psql.args(["-q", &server, "-c", &format!("CREATE DATABASE {name}")]).output().expect("psql runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let url = format!("{}/{name}", server.rsplit_once('/').expect("a URL with a database").0);
    Some(open(Some(&url)))
}

fn open(url: Option<&str>) -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (Store::open(folder.path(), url).expect("it opens"), folder)
}

/// Makes a tenant.
pub(crate) async fn create_tenant(store: &Store, tenant: &TenantId) {
    let mut scope = store.write(tenant).await.expect("a scope");
    scope.create_tenant(&TenantSettings::default(), &Actor::host()).await.expect("made");
    scope.commit().await.expect("committed");
}

//! Stores to test with, and what tests put into them.

use crate::schema::MIGRATIONS;
use crate::versions::NewVersion;
use crate::{Dialect, Result, Store, now_ms};
use elias_api::{
    Actor, Deployment, DeploymentState, ExecutionRecord, Service, TenantSettings, Version, VersionSettings,
};
use elias_names::{ComponentName, Digest, Environment, ServiceId, TenantId};
use elias_transparency as transparency;
use serde_json::json;
use sqlx::{AnyPool, AssertSqlSafe, Executor, SqlSafeStr};
use std::collections::BTreeMap;
use std::time::Duration;

/// A store with its data directory, which is removed when this is dropped.
pub(super) struct TestStore {
    pub(super) store: Store,
    pub(super) folder: tempfile::TempDir,
}

impl TestStore {
    /// The URL of the database, if it is a server's.
    pub(super) fn url(&self) -> Option<String> {
        (self.store.dialect == Dialect::Postgres).then(|| self.store.shared.url.clone())
    }
}

pub(super) fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().expect("a folder");
    TestStore { store: Store::open(folder.path(), None).expect("it opens"), folder }
}

/// A database of its own on the server of the tests.
pub(super) async fn postgres() -> Option<TestStore> {
    postgres_with("").await
}

/// As [`postgres`], of a database with these options.
pub(super) async fn postgres_with(options: &str) -> Option<TestStore> {
    let server = std::env::var("ELIAS_TEST_POSTGRES").ok()?;
    sqlx::any::install_default_drivers();
    let name = format!("platform_{}", ulid::Ulid::new().to_string().to_lowercase());
    let pool = AnyPool::connect(&server).await.expect("the server of the tests");
    pool.execute(AssertSqlSafe(format!("CREATE DATABASE {name} {options}")).into_sql_str()).await.expect("a database");
    let url = format!("{}/{name}", server.rsplit_once('/').expect("a URL with a database").0);
    let folder = tempfile::tempdir().expect("a folder");
    Some(TestStore { store: Store::open(folder.path(), Some(&url)).expect("it opens"), folder })
}

pub(super) fn tenant(name: &str) -> TenantId {
    name.parse().expect("a name")
}

pub(super) fn shop() -> ComponentName {
    "shop".parse().expect("a name")
}

/// Lets the clock go on: what is stored in one millisecond has no order.
pub(super) async fn later() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

pub(super) fn service(tenant: &TenantId) -> ServiceId {
    ServiceId { tenant: tenant.clone(), component: shop(), environment: Environment::Production }
}

/// Takes back the tables, columns and indexes of all steps of the schema after `version`: a store as a host of before
/// has left it, but for what those steps changed in rows.
pub(super) async fn undo_steps_after(store: &Store, version: usize) {
    let added = MIGRATIONS[version..].iter().map(|(_, sql)| *sql).collect::<Vec<_>>().join("\n");
    let words: Vec<_> = added.split_whitespace().collect();
    let (mut indexes, mut columns, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    for window in words.windows(6) {
        match window {
            ["CREATE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => {
                indexes.push(format!("DROP INDEX {name}"));
            }
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column] => {
                columns.push(format!("ALTER TABLE {table} DROP COLUMN {column}"));
            }
            ["CREATE", "TABLE", name, ..] => tables.push(format!("DROP TABLE {name}")),
            _ => {}
        }
    }
    let forget = format!("DELETE FROM _sqlx_migrations WHERE version > {version}");
    for undo in indexes.into_iter().chain(columns).chain(tables).chain([forget]) {
        store.pool.execute(AssertSqlSafe(undo.clone())).await.expect(&undo);
    }
}

pub(super) async fn create_tenant(store: &Store, name: &str) -> TenantId {
    let tenant = tenant(name);
    let mut scope = store.write(&tenant).await.expect("a scope");
    scope.create_tenant(&TenantSettings::default(), &Actor::host()).await.expect("it is made");
    scope.commit().await.expect("committed");
    tenant
}

/// Stores the next version of the component `shop`.
pub(super) async fn add_version(store: &Store, tenant: &TenantId, bytes: &[u8]) -> Result<Version> {
    let mut scope = store.write(tenant).await?;
    let number = scope.next_version(&shop(), 10).await?;
    scope.insert_artifact(&Digest::of(bytes), bytes.len() as u64).await?;
    let place = scope.reserve_log().await?;
    let record = format!("{tenant} {number}");
    let known = scope.log_hashes(&transparency::append_needs(place)).await?;
    let appended = transparency::append(place, record.as_bytes(), &known).expect("the log goes on");
    scope.append_log(place, &record, &appended.stored).await?;
    let (digest, settings) = (Digest::of(bytes), VersionSettings::default());
    let new = NewVersion {
        component: &shop(),
        number,
        digest: &digest,
        bytes: bytes.len() as u64,
        manifest: Some(&json!({ "name": "shop" })),
        settings: &settings,
        signature: None,
        signed_by: None,
        log_index: place,
    };
    let version = scope.insert_version(&new, &Actor::host()).await?;
    scope.commit().await?;
    Ok(version)
}

/// Gives a version all traffic.
pub(super) async fn deploy(store: &Store, tenant: &TenantId, version: u32, revision: u64) -> Result<()> {
    let mut scope = store.write(tenant).await?;
    let id = service(tenant);
    let deployment = Deployment {
        id: ulid::Ulid::new().to_string(),
        component: id.component.clone(),
        environment: id.environment,
        version,
        replaces: None,
        state: DeploymentState::Active,
        reason: "test".into(),
        rollout: None,
        created_at: now_ms(),
        created_by: "test".into(),
        ended_at: None,
        trigger_changes: Vec::new(),
    };
    scope.insert_deployment(&deployment).await?;
    let (component, environment) = (id.component, id.environment);
    let deployment = deployment.id;
    scope
        .set_service(&Service {
            component,
            environment,
            revision,
            version,
            deployment,
            canary: None,
            stopped: false,
            flags: Vec::new(),
            experiment: None,
        })
        .await?;
    scope.commit().await
}

/// An execution of `shop` in production that began at `at`, in milliseconds since 1970.
pub(super) fn execution_record(tenant: &TenantId, at: i64) -> ExecutionRecord {
    ExecutionRecord {
        tenant: tenant.clone(),
        id: format!("{at:026}"),
        component: shop(),
        environment: Environment::Production,
        version: 1,
        source: "GET /".into(),
        run: None,
        trace: None,
        started_at: at,
        duration_us: 5,
        fuel: 7,
        memory_bytes: 9,
        host_calls: Vec::new(),
        flags: BTreeMap::new(),
        status: 200,
        outcome: "completed".into(),
        code: None,
        error: None,
        lines: None,
    }
}

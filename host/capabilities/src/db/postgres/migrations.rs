//! The migrations of a component, applied to its PostgreSQL schema.

use super::super::migrate::{Migration, Migrations, TIMEOUT};
use super::super::statement::{BOOKKEEPING, Statement};
use super::connect::Connector;
use super::error::{error, refused};
use super::schema::{OwnedSchema, lock};
use elias_host::capability::ConfigureError;
use std::time::Duration;
use tokio_postgres::Client;

/// Runs the migrations that are due, as the component's login, since the component's author wrote them.
pub(super) async fn migrate(
    connector: &Connector,
    client: &Client,
    owned_schema: &OwnedSchema,
    migrations: &Migrations,
) -> Result<(), ConfigureError> {
    let prepared = tokio::time::timeout(TIMEOUT, prepare(client, owned_schema)).await;
    prepared.map_err(|_| ConfigureError::Unavailable("PostgreSQL did not respond in time".into()))??;
    for migration in &migrations.0 {
        match tokio::time::timeout(TIMEOUT, one(client, migration)).await {
            Ok(done) => done?,
            Err(_) => {
                connector.cancel(&client.cancel_token()).await;
                return Err(ConfigureError::Invalid(format!("migrations: {} took too long", migration.name)));
            }
        }
    }
    Ok(())
}

async fn prepare(client: &Client, owned_schema: &OwnedSchema) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    client.batch_execute(&owned_schema.session(Duration::ZERO, Duration::ZERO)).await.map_err(failed)?;
    // Hosts take turns. The lock goes with the connection.
    client.execute("SELECT pg_advisory_lock($1)", &[&lock(&owned_schema.schema)]).await.map_err(failed)?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {BOOKKEEPING} (name text PRIMARY KEY, sha256 text NOT NULL, \
         applied_at timestamptz NOT NULL)"
    );
    client.batch_execute(&table).await.map_err(failed)
}

async fn one(client: &Client, migration: &Migration) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    let select = format!("SELECT sha256 FROM {BOOKKEEPING} WHERE name = $1");
    let recorded = client.query_opt(&select, &[&migration.name]).await.map_err(failed)?;
    if !migration.is_due(recorded.as_ref().map(|row| row.get::<_, &str>(0)))? {
        return Ok(());
    }
    let statements = Statement::split(&migration.sql).map_err(|error| migration.failed(&error))?;
    client.batch_execute("BEGIN").await.map_err(failed)?;
    let applied = async {
        for statement in &statements {
            // One statement, whatever its text: the protocol's other way takes several.
            client.execute(&statement.sql, &[]).await?;
        }
        let insert = format!("INSERT INTO {BOOKKEEPING} VALUES ($1, $2, now())");
        client.execute(&insert, &[&migration.name, &migration.digest]).await?;
        client.batch_execute("COMMIT").await
    };
    if let Err(why) = applied.await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(migration.failed(&error(&why)));
    }
    Ok(())
}

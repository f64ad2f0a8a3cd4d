//! The schema and the role of a component, and its migrations.

use super::super::bindings::Error;
use super::super::migrate::{Migration, Migrations, TIMEOUT};
use super::super::statement::{BOOKKEEPING, Statement};
use super::connect::Connector;
use super::error::error;
use super::login::{KEYS, lock};
use elias_host::capability::ConfigureError;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The schema that a component owns, and the role that it logs in as.
#[derive(Debug, Clone)]
pub(super) struct OwnedSchema {
    pub(super) schema: String,
    pub(super) role: String,
}

/// Checks a schema's name. Nothing in it ends the quotes that it is put in.
pub(super) fn check_schema(schema: &str) -> Result<(), ConfigureError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if !starts || !schema.chars().all(plain) || schema.len() > 57 {
        let why =
            "schema: must be lower-case letters, digits and underscores, beginning with none of the digits, at most 57";
        return Err(ConfigureError::Invalid(why.into()));
    }
    if schema.starts_with("pg_") || schema.starts_with(KEYS) || schema == "public" || schema == "information_schema" {
        return Err(ConfigureError::Invalid(format!("schema: {schema} is not for components")));
    }
    Ok(())
}

impl OwnedSchema {
    /// The statements that set up a session, whatever the server's defaults and the URL say: the rules about statements
    /// rely on them.
    pub(super) fn session(&self, timeout: Duration, idle: Duration) -> String {
        format!(
            "SET standard_conforming_strings TO on; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'; \
             SET statement_timeout TO {}; SET idle_in_transaction_session_timeout TO {}; SET lock_timeout TO 0; \
             SET search_path TO \"{}\", pg_temp",
            timeout.as_millis(),
            idle.as_millis(),
            self.schema
        )
    }
}

/// Runs the migrations that are due, as the component's login: who wrote them wrote the component.
pub(super) async fn migrate(
    connector: &Connector,
    client: &Client,
    owned_schema: &OwnedSchema,
    migrations: &Migrations,
) -> Result<(), ConfigureError> {
    let prepared = tokio::time::timeout(TIMEOUT, prepare(client, owned_schema)).await;
    prepared.map_err(|_| ConfigureError::Unavailable("PostgreSQL did not answer in time".into()))??;
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
        "CREATE TABLE IF NOT EXISTS {BOOKKEEPING} (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL)"
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

pub(super) fn refused(failed: &tokio_postgres::Error) -> ConfigureError {
    let Error { sqlstate, .. } = error(failed);
    let why = match failed.as_db_error().and(sqlstate) {
        Some(state) if state == "28000" => {
            "PostgreSQL lets a role in nowhere (28000): pg_hba.conf must admit the url's, and the logins that begin with elias_"
                .into()
        }
        Some(state) => format!("PostgreSQL refused ({state})"),
        None => "PostgreSQL cannot be reached".into(),
    };
    ConfigureError::Unavailable(why)
}

pub(super) fn missing(failed: &tokio_postgres::Error, what: &str) -> ConfigureError {
    if failed.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return ConfigureError::Unavailable(format!("the role of PostgreSQL's url {what}"));
    }
    refused(failed)
}

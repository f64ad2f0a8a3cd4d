//! A component's schema and role, and its migrations.

use super::super::Error;
use super::super::migrate::{Migration, Migrations, TIMEOUT, digest};
use super::super::statement::{BOOKKEEPING, Statement};
use super::connect::Connector;
use super::error::error;
use elias_host::capability::ConfigureError;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// A component's place in a server.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) schema: String,
    pub(super) role: String,
}

impl Place {
    /// A schema, and the role that is named after it.
    pub(super) fn new(schema: String) -> Result<Self, ConfigureError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts = schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !starts || !schema.chars().all(plain) || schema.len() > 57 {
            let why = "schema: must be lower-case letters, digits and underscores, beginning with none of the digits, at most 57";
            return Err(ConfigureError::Invalid(why.into()));
        }
        if schema.starts_with("pg_") || schema == "public" || schema == "information_schema" {
            return Err(ConfigureError::Invalid(format!("schema: {schema} is not for components")));
        }
        let role = format!("elias_{schema}");
        Ok(Self { schema, role })
    }

    /// Takes on the role, and its schema only. Names are checked in `new`: nothing in them ends the quotes.
    pub(super) fn enter(&self) -> String {
        format!("SET ROLE \"{}\"; SET search_path TO \"{}\", pg_temp", self.role, self.schema)
    }
}

/// Makes what is not there yet, and runs the migrations that are due.
pub(super) async fn run(connector: &Connector, place: &Place, migrations: &Migrations) -> Result<(), ConfigureError> {
    let connected = tokio::time::timeout(connector.timeout * 2, connector.plain()).await;
    let (client, task) = connected.map_err(|_| unreachable())?.map_err(|failed| refused(&failed))?;
    let done = async {
        let prepared = tokio::time::timeout(TIMEOUT, prepare(&client, place)).await;
        prepared.map_err(|_| unreachable())??;
        for migration in &migrations.0 {
            let failed = ConfigureError::Invalid(format!("migrations: {} took too long", migration.name));
            tokio::time::timeout(TIMEOUT, migrate(&client, place, migration)).await.map_err(|_| failed)??;
        }
        Ok(())
    };
    let done = done.await;
    // The lock goes with the connection.
    drop(client);
    task.abort();
    done
}

async fn prepare(client: &Client, place: &Place) -> Result<(), ConfigureError> {
    let Place { schema, role } = place;
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    // Only one host at a time: concurrent CREATEs of the same name fail, and migrations take turns.
    let key = i64::from_str_radix(&digest(&format!("elias:{schema}"))[..15], 16).unwrap_or(0);
    client.batch_execute("SET standard_conforming_strings TO on; SET statement_timeout TO 0").await.map_err(failed)?;
    client.execute("SELECT pg_advisory_lock($1)", &[&key]).await.map_err(failed)?;
    let found = client
        .query_opt("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1::text", &[role])
        .await
        .map_err(failed)?;
    if found.is_none() {
        let created = client.batch_execute(&format!("CREATE ROLE \"{role}\" NOLOGIN NOINHERIT")).await;
        created
            .or_else(|error| if error.code() == Some(&SqlState::DUPLICATE_OBJECT) { Ok(()) } else { Err(error) })
            .map_err(|error| {
                missing(
                    &error,
                    "may not create roles: it needs the attribute CREATEROLE, or a role made for it beforehand",
                )
            })?;
    }
    if client.batch_execute(&format!("SET ROLE \"{role}\"; RESET ROLE")).await.is_err() {
        let granted = client.batch_execute(&format!("GRANT \"{role}\" TO CURRENT_USER")).await;
        granted.map_err(|error| missing(&error, "is not a member of the component's role, and may not become one"))?;
    }
    let owner =
        "SELECT pg_catalog.pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
    match client.query_opt(owner, &[schema]).await.map_err(failed)? {
        None => {
            let created = client.batch_execute(&format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{role}\"")).await;
            created.map_err(|error| {
                missing(&error, "may not create schemas: it needs the privilege CREATE on the database")
            })?;
        }
        Some(row) if row.get::<_, String>(0) == *role => {}
        Some(_) => {
            return Err(ConfigureError::Invalid(format!("schema: {schema} exists, and its owner is not {role}")));
        }
    }
    client
        .batch_execute(&place.enter())
        .await
        .map_err(|error| missing(&error, "may not take on the component's role"))?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {BOOKKEEPING} (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL)"
    );
    client.batch_execute(&table).await.map_err(failed)
}

async fn migrate(client: &Client, place: &Place, migration: &Migration) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    let select = format!("SELECT sha256 FROM {BOOKKEEPING} WHERE name = $1");
    let recorded = client.query_opt(&select, &[&migration.name]).await.map_err(failed)?;
    if !migration.is_due(recorded.as_ref().map(|row| row.get::<_, &str>(0)))? {
        return Ok(());
    }
    // Who wrote the migration wrote the component: the same rules hold.
    let statements = Statement::split(&migration.sql).map_err(|error| migration.failed(&error))?;
    client.batch_execute("BEGIN").await.map_err(failed)?;
    let applied = async {
        for statement in &statements {
            client.batch_execute(&statement.sql).await?;
        }
        let insert = format!("INSERT INTO {BOOKKEEPING} VALUES ($1, $2, now())");
        client.execute(&insert, &[&migration.name, &migration.digest]).await?;
        client.batch_execute("COMMIT").await
    };
    if let Err(why) = applied.await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(migration.failed(&error(&why)));
    }
    client.batch_execute(&place.enter()).await.map_err(failed)
}

fn unreachable() -> ConfigureError {
    ConfigureError::Unavailable("PostgreSQL cannot be reached".into())
}

fn refused(failed: &tokio_postgres::Error) -> ConfigureError {
    let Error { sqlstate, .. } = error(failed);
    match failed.as_db_error().and(sqlstate) {
        Some(state) => ConfigureError::Unavailable(format!("PostgreSQL refused ({state})")),
        None => unreachable(),
    }
}

fn missing(failed: &tokio_postgres::Error, what: &str) -> ConfigureError {
    if failed.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return ConfigureError::Unavailable(format!("the role of PostgreSQL's url {what}"));
    }
    refused(failed)
}

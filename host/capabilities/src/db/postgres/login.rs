//! The login of a component. The server itself confines it to its schema: there is no role to which a statement could
//! return, whatever it does to its session.
//!
//! The owner, which is the role of the grant's `url`, makes the login and its password and is not seen again. Passwords
//! are derived from a key that the owner keeps in a schema of its own, so that hosts that share a database agree on
//! them and none is written down anywhere else.

use super::super::migrate::digest;
use super::connect::Connector;
use super::error::{missing, refused};
use super::schema::{KEYS, OwnedSchema, lock};
use elias_host::capability::ConfigureError;
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// The permissions that an owner must have, and the alternative.
const NO_CREATEROLE: &str = "may not create roles: give it the attribute CREATEROLE, \
     or create the component's login yourself and \
     name it in login-url (CREATE ROLE name LOGIN NOINHERIT PASSWORD '...'; CREATE SCHEMA schema AUTHORIZATION name)";
const NO_CREATE: &str = "may not create schemas: it needs the privilege CREATE on the database";
const NOT_MADE_HERE: &str =
    "may not change the component's login, which another role has made: use that role's url, or login-url";

/// A component's login.
pub(super) struct Login {
    pub(super) role: String,
    pub(super) password: String,
}

/// The account that makes and changes logins.
#[derive(Clone)]
pub(super) struct Owner(pub(super) Connector);

impl Owner {
    /// Creates the login and the schema of a component, as far as they do not exist.
    pub(super) async fn prepare(&self, schema: &str, database: &str) -> Result<Login, ConfigureError> {
        let session = self.0.connect().await.map_err(|failed| refused(&failed))?;
        let client: &Client = &session;
        let failed = |failed: tokio_postgres::Error| refused(&failed);
        client
            .batch_execute(
                "SET standard_conforming_strings TO on; SET search_path TO pg_catalog; SET statement_timeout TO 0",
            )
            .await
            .map_err(failed)?;
        // Only one host at a time: concurrent CREATEs of the same name fail. The lock goes with the connection.
        client.execute("SELECT pg_advisory_lock($1)", &[&lock(schema)]).await.map_err(failed)?;
        let role = role(client, schema, database).await?;
        let found = attributes(client, &role).await?;
        if found.is_none() && !may_create_roles(client).await? {
            return Err(denied(NO_CREATEROLE));
        }
        let password = self.password(client, &format!("{database}/{role}")).await?;
        match found {
            None => create(client, &role, &password).await?,
            Some(attributes) => {
                attributes.check(&role)?;
                if !attributes.logs_in {
                    // One of a release that took on the component's role from its own.
                    set(client, &role, &format!("LOGIN NOINHERIT PASSWORD '{}'", verifier(&password))).await?;
                }
            }
        }
        create_schema(client, schema, &role).await?;
        defaults(client, schema, &role).await?;
        Ok(Login { role, password })
    }

    /// Gives a login its password again: another host of another owner, or an operator, has changed it.
    pub(super) async fn reset_password(&self, login: &Login) -> Result<(), ConfigureError> {
        let session = self.0.connect().await.map_err(|failed| refused(&failed))?;
        set(&session, &login.role, &format!("LOGIN PASSWORD '{}'", verifier(&login.password))).await
    }

    /// The password of a login: the same for whoever asks, as long as the key is the same.
    async fn password(&self, client: &Client, name: &str) -> Result<String, ConfigureError> {
        let failed = |failed: tokio_postgres::Error| refused(&failed);
        let owner: String = client.query_one("SELECT current_user::text", &[]).await.map_err(failed)?.get(0);
        let schema = format!("{KEYS}{}", &digest(&owner)[..16]);
        let select = format!("SELECT key FROM \"{schema}\".login_key");
        let mut key = client.query_opt(&select, &[]).await;
        if matches!(&key, Err(error) if is_missing(error)) {
            let mut random = [0_u8; 32];
            rand::rngs::OsRng.fill_bytes(&mut random);
            client.execute("SELECT pg_advisory_lock($1)", &[&lock(&schema)]).await.map_err(failed)?;
            let exists = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
            if client.query_opt(exists, &[&schema]).await.map_err(failed)?.is_none() {
                let created = client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await;
                created.map_err(|error| missing(&error, NO_CREATE))?;
            }
            let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let table = format!(
                "CREATE TABLE IF NOT EXISTS \"{schema}\".login_key \
                 (one boolean PRIMARY KEY DEFAULT true CHECK (one), key text NOT NULL);
                 INSERT INTO \"{schema}\".login_key (key) VALUES ('{random}') ON CONFLICT DO NOTHING"
            );
            client.batch_execute(&table).await.map_err(failed)?;
            key = client.query_opt(&select, &[]).await;
        }
        let Some(key) = key.map_err(failed)? else {
            return Err(ConfigureError::Unavailable(format!(
                "PostgreSQL's table {schema}.login_key is empty: drop it"
            )));
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.get::<_, String>(0).as_bytes())
            .map_err(|_| ConfigureError::Unavailable("the key of logins has no length".into()))?;
        mac.update(b"elias login 1: ");
        mac.update(name.as_bytes());
        Ok(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The login's name: that of the schema's owner if there is the schema, else one for this schema of this database, for
/// roles belong to all databases of a server.
async fn role(client: &Client, schema: &str, database: &str) -> Result<String, ConfigureError> {
    let [before, role] = names(schema, database);
    let owner =
        "SELECT pg_catalog.pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
    let found = client.query_opt(owner, &[&schema]).await.map_err(|failed| refused(&failed))?;
    match found.map(|row| row.get::<_, String>(0)) {
        None => Ok(role),
        Some(owner) if owner == role || owner == before => Ok(owner),
        Some(_) => Err(ConfigureError::Invalid(format!("schema: {schema} exists, and its owner is not {role}"))),
    }
}

/// The former and the present name of a schema's role.
fn names(schema: &str, database: &str) -> [String; 2] {
    let kept: String = schema.chars().take(40).collect();
    [format!("elias_{schema}"), format!("elias_{kept}_{}", &digest(&format!("{database}/{schema}"))[..12])]
}

/// The permissions that a component's role must not have.
struct Attributes {
    logs_in: bool,
    privileged: bool,
    member: bool,
}

impl Attributes {
    fn check(&self, role: &str) -> Result<(), ConfigureError> {
        let why = if self.privileged {
            "has one of the attributes SUPERUSER, CREATEROLE, CREATEDB, REPLICATION and BYPASSRLS: \
             take them away (ALTER ROLE)"
        } else if self.member {
            "is a member of other roles: take that away (REVOKE)"
        } else {
            return Ok(());
        };
        Err(ConfigureError::Unavailable(format!("the component's login {role} of PostgreSQL {why}")))
    }
}

async fn attributes(client: &Client, role: &str) -> Result<Option<Attributes>, ConfigureError> {
    let select = "SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, \
                  EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members WHERE member = r.oid) \
                  FROM pg_catalog.pg_roles r WHERE rolname = $1::text";
    let found = client.query_opt(select, &[&role]).await.map_err(|failed| refused(&failed))?;
    Ok(found.map(|row| Attributes { logs_in: row.get(0), privileged: row.get(1), member: row.get(2) }))
}

/// Checks a login that the operator has made: that it can do nothing beyond its schema.
pub(super) async fn check(client: &Client, owned_schema: &OwnedSchema) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    let Some(attributes) = attributes(client, &owned_schema.role).await? else {
        return Err(ConfigureError::Unavailable("PostgreSQL does not know the role of login-url".into()));
    };
    attributes.check(&owned_schema.role)?;
    let owns = "SELECT nspname::text FROM pg_catalog.pg_namespace \
                WHERE pg_catalog.pg_get_userbyid(nspowner) = $1::text AND nspname !~ '^pg_'";
    let owned: Vec<String> =
        client.query(owns, &[&owned_schema.role]).await.map_err(failed)?.iter().map(|row| row.get(0)).collect();
    if let Some(other) = owned.iter().find(|schema| **schema != owned_schema.schema) {
        let (role, schema) = (&owned_schema.role, &owned_schema.schema);
        return Err(ConfigureError::Invalid(format!(
            "login-url: its role {role} owns the schema {other} beside {schema}: every component \
             needs a login of its own"
        )));
    }
    if owned.is_empty() {
        let created = client.batch_execute(&format!("CREATE SCHEMA \"{}\"", owned_schema.schema)).await;
        let (role, schema) = (&owned_schema.role, &owned_schema.schema);
        let own = [SqlState::INSUFFICIENT_PRIVILEGE, SqlState::DUPLICATE_SCHEMA];
        created.map_err(|error| {
            if !own.iter().any(|state| error.code() == Some(state)) {
                return refused(&error);
            }
            ConfigureError::Invalid(format!(
                "login-url: its role does not own the schema {schema}: \
                 CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{role}\""
            ))
        })?;
    }
    Ok(())
}

async fn may_create_roles(client: &Client) -> Result<bool, ConfigureError> {
    let select = "SELECT rolcreaterole OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let found = client.query_opt(select, &[]).await.map_err(|failed| refused(&failed))?;
    Ok(found.is_some_and(|row| row.get(0)))
}

async fn create(client: &Client, role: &str, password: &str) -> Result<(), ConfigureError> {
    // Attributes that are not named have their default: none.
    let create = format!("CREATE ROLE \"{role}\" LOGIN NOINHERIT PASSWORD '{}'", verifier(password));
    match client.batch_execute(&create).await {
        // By a host that uses another of the server's databases.
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => Ok(()),
        created => created.map_err(|error| missing(&error, NO_CREATEROLE)),
    }
}

async fn set(client: &Client, role: &str, what: &str) -> Result<(), ConfigureError> {
    let set = client.batch_execute(&format!("ALTER ROLE \"{role}\" {what}")).await;
    set.map_err(|error| missing(&error, NOT_MADE_HERE))
}

async fn create_schema(client: &Client, schema: &str, role: &str) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    let exists = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
    if client.query_opt(exists, &[&schema]).await.map_err(failed)?.is_some() {
        return Ok(());
    }
    // To give a schema away, one must be able to be its new owner for a moment.
    let superuser = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let superuser: bool = client.query_one(superuser, &[]).await.map_err(failed)?.get(0);
    if !superuser {
        let granted = client.batch_execute(&format!("GRANT \"{role}\" TO CURRENT_USER")).await;
        granted.map_err(|error| missing(&error, NOT_MADE_HERE))?;
    }
    let created = client.batch_execute(&format!("CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{role}\"")).await;
    created.map_err(|error| missing(&error, NO_CREATE))
}

/// The settings with which a session of the login begins, and that it may connect where PUBLIC may not.
async fn defaults(client: &Client, schema: &str, role: &str) -> Result<(), ConfigureError> {
    let failed = |failed: tokio_postgres::Error| refused(&failed);
    let wanted = format!("search_path={schema}, pg_temp");
    let select = "SELECT setconfig = ARRAY[$2::text] FROM pg_catalog.pg_db_role_setting \
                  WHERE setrole = $1::text::regrole AND setdatabase = 0";
    let quoted = format!("\"{role}\"");
    let same = client.query_opt(select, &[&quoted, &wanted]).await.map_err(failed)?;
    if same.is_none_or(|row| !row.get::<_, Option<bool>>(0).unwrap_or(false)) {
        // A login may change its own defaults: they are put back whenever a component is loaded.
        set(client, role, "RESET ALL").await?;
        set(client, role, &format!("SET search_path TO \"{schema}\", pg_temp")).await?;
    }
    let select = "SELECT pg_catalog.has_database_privilege($1::text, pg_catalog.current_database(), 'CONNECT'), \
                  pg_catalog.quote_ident(pg_catalog.current_database())";
    let row = client.query_one(select, &[&role]).await.map_err(failed)?;
    if !row.get::<_, bool>(0) {
        let grant = format!("GRANT CONNECT ON DATABASE {} TO \"{role}\"", row.get::<_, String>(1));
        client
            .batch_execute(&grant)
            .await
            .map_err(|error| missing(&error, "may not let the component's login connect"))?;
    }
    Ok(())
}

fn denied(why: &str) -> ConfigureError {
    ConfigureError::Unavailable(format!("the role of PostgreSQL's url {why}"))
}

fn is_missing(error: &tokio_postgres::Error) -> bool {
    [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].iter().any(|state| error.code() == Some(state))
}

/// The verifier that the server stores for a password (SCRAM-SHA-256). The password itself would be in its log.
fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ_by_database() {
        let schema = "s".repeat(57);
        let [before, now] = names(&schema, "one");
        assert!(before.len() <= 63 && now.len() <= 63, "{before} {now}");
        assert_ne!(names(&schema, "two")[1], now);
        assert_ne!(names(&format!("{}t", &schema[..56]), "one")[1], now);
    }
}

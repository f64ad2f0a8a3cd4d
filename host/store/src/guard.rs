//! Row-level security on PostgreSQL: a tenant's transactions take the role `elias_tenant`, which sees the rows of the
//! tenant in `elias.tenant` only, and of the host's tables may do what uploading a version, changing a service,
//! publishing an event and acquiring a worker take, and no more.

use super::Store;
use super::schema::TENANT_TABLES;
use crate::error::Result;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

/// The rights of the role in the host's own tables, where it takes part in four things: it counts changes and
/// entries of the log up by one, appends the entry whose place it has just reserved, reads which segment new events
/// go to, and whether the process that owns a worker still has its lease. Nothing that is there can be altered or
/// deleted by it.
const HOST_TABLES: &[&str] = &[
    "REVOKE ALL ON log_records, log_hashes, counters, event_segments, leases FROM elias_tenant",
    "GRANT SELECT ON event_segments, leases TO elias_tenant",
    "GRANT SELECT, UPDATE (value) ON counters TO elias_tenant",
    "GRANT INSERT ON log_records TO elias_tenant",
    "GRANT SELECT, INSERT ON log_hashes TO elias_tenant",
    "ALTER TABLE counters ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE log_records ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE log_hashes ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE event_segments ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE leases ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS read_by_tenants ON leases",
    "CREATE POLICY read_by_tenants ON leases FOR SELECT TO elias_tenant USING (name LIKE 'workers/%')",
    "DROP POLICY IF EXISTS read_by_tenants ON event_segments",
    "CREATE POLICY read_by_tenants ON event_segments FOR SELECT TO elias_tenant USING (true)",
    "DROP POLICY IF EXISTS read_by_tenants ON counters",
    "DROP POLICY IF EXISTS counted_by_tenants ON counters",
    "DROP POLICY IF EXISTS appended_by_tenants ON log_records",
    "DROP POLICY IF EXISTS read_by_tenants ON log_hashes",
    "DROP POLICY IF EXISTS appended_by_tenants ON log_hashes",
    "CREATE POLICY read_by_tenants ON counters FOR SELECT TO elias_tenant USING (true)",
    "CREATE POLICY counted_by_tenants ON counters FOR UPDATE TO elias_tenant USING (name IN ('changes', 'log'))",
    "CREATE POLICY appended_by_tenants ON log_records FOR INSERT TO elias_tenant \
     WITH CHECK (position = (SELECT value - 1 FROM counters WHERE name = 'log'))",
    "CREATE POLICY read_by_tenants ON log_hashes FOR SELECT TO elias_tenant USING (true)",
    "CREATE POLICY appended_by_tenants ON log_hashes FOR INSERT TO elias_tenant WITH CHECK (position >= 0)",
    // A policy does not see the row as it was.
    "CREATE OR REPLACE FUNCTION elias_count_by_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF current_user = 'elias_tenant' AND NEW.value <> OLD.value + 1 THEN \
     RAISE EXCEPTION 'counters go up by one' USING ERRCODE = 'insufficient_privilege'; END IF; RETURN NEW; END $$",
    "CREATE OR REPLACE TRIGGER elias_count_by_one BEFORE UPDATE ON counters FOR EACH ROW \
     EXECUTE FUNCTION elias_count_by_one()",
];

impl Store {
    /// Sets the rights of the role that tenants' transactions take; the same each time.
    pub(super) async fn guard(&self) -> Result<()> {
        let mut statements = vec![
            "SELECT pg_advisory_xact_lock(7357235)::text".to_owned(), // hosts that start at once take turns
            // Roles belong to the whole server: another database's host may have made it, or be about to.
            "DO $$ BEGIN CREATE ROLE elias_tenant NOLOGIN; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                .to_owned(),
            "DO $$ BEGIN IF NOT pg_has_role(current_user, 'elias_tenant', 'MEMBER') THEN \
             EXECUTE format('GRANT elias_tenant TO %I', current_user); END IF; END $$"
                .to_owned(),
            "DO $$ BEGIN \
             EXECUTE format('GRANT USAGE ON SCHEMA %I TO elias_tenant', current_schema()); END $$"
                .to_owned(),
        ];
        for table in TENANT_TABLES {
            statements.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO elias_tenant"));
            statements.push(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
            statements.push(format!("DROP POLICY IF EXISTS of_tenant ON {table}"));
            statements.push(format!(
                "CREATE POLICY of_tenant ON {table} TO elias_tenant USING (tenant = current_setting('elias.tenant'))"
            ));
        }
        statements.extend(HOST_TABLES.iter().map(ToString::to_string));
        let mut tx = self.pool.begin().await?;
        for statement in statements {
            tx.execute(AssertSqlSafe(statement).into_sql_str()).await?;
        }
        Ok(tx.commit().await?)
    }
}

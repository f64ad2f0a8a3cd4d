//! Statements that take microseconds, run at once on the thread that asks: a point query through another thread costs a
//! hundred times itself.
//!
//! Such a statement is bounded in every direction: it only reads; it waits for no lock; it ends after a few thousand
//! steps of SQLite's machine, or some milliseconds; its values and its result are small; it calls no function whose time
//! grows with them, and reads no virtual table, of which one step may take any time. Whatever goes beyond that is given
//! up, and run from its beginning on a thread of the [pool](super::pool).

use super::super::output::{Caps, Part};
use super::super::statement::{Kind, Statement};
use super::connection::{Session, Settings};
use super::run::{bind, columns, size, values};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, TryLockError};

/// Tens of steps that a statement may take; some 100 us.
const LOOKS: u32 = 500;

/// The longest statement that is tried.
const STATEMENT_BYTES: usize = 4 * 1024;

/// Statements that are remembered as not being quick.
const SLOW: usize = 256;

/// A file's connection for quick statements.
pub(super) struct QuickConnection(Mutex<Option<Inner>>);

struct Inner {
    session: Session,
    /// Statements that have been tried in vain.
    slow: HashSet<String>,
}

impl QuickConnection {
    /// Opens the connection. Without it every statement is run on the pool's.
    pub(super) fn open(settings: &Arc<Settings>) -> Self {
        let session = Session::open_quick(settings).ok();
        Self(Mutex::new(session.map(|session| Inner { session, slow: HashSet::new() })))
    }

    /// Runs a statement if it is a quick one and the connection is free.
    pub(super) fn run(&self, statement: &Statement, caps: Caps) -> Option<Part> {
        if statement.writes || statement.kind != Kind::Read || statement.sql.len() > STATEMENT_BYTES {
            return None;
        }
        let mut inner = match self.0.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let inner = inner.as_mut()?;
        if inner.slow.contains(&statement.sql) {
            return None;
        }
        let part = inner.session.run_now(statement, caps);
        if part.is_none() {
            if inner.slow.len() >= SLOW {
                inner.slow.clear();
            }
            inner.slow.insert(statement.sql.clone());
        }
        part
    }
}

impl Session {
    /// The whole result, if it can be had at once. What fails is left to the pool, which will say why.
    fn run_now(&self, statement: &Statement, caps: Caps) -> Option<Part> {
        self.control.run_steps(LOOKS, || self.at_once(statement, caps))
    }

    fn at_once(&self, statement: &Statement, caps: Caps) -> Option<Part> {
        self.control.outbox.store(statement.names_outbox, Ordering::Relaxed);
        let mut prepared = self.control.as_guest(|| self.connection.prepare_cached(&statement.sql)).ok()?;
        if !prepared.readonly() {
            return None;
        }
        bind(&mut prepared, &statement.parameters).ok()?;
        let mut started = None;
        let mut rows = prepared.raw_query();
        while let Some(row) = self.control.as_guest(|| rows.next()).ok()? {
            let (batches, booleans) = started.get_or_insert_with(|| columns(row.as_ref(), caps));
            batches.make_room(size(row, booleans.len()).ok()?).ok()?;
            if batches.add(values(row, booleans).ok()?).ok()? {
                return None;
            }
        }
        drop(rows);
        let batches = started.map_or_else(|| columns(&prepared, caps).0, |(batches, _)| batches);
        Some(Ok(batches.last(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::dialect::Dialect;
    use crate::db::grant::DbGrant;

    #[test]
    fn what_may_take_any_time_in_one_step_is_left_to_the_pool() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Arc::new(Settings::new(folder.path().to_owned(), "test.sqlite".into(), &DbGrant::default()));
        let session = Session::open_for_guest(&settings).unwrap();
        let schema = "CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 2), (3, 4); \
                      CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO words VALUES ('one two'); \
                      CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0, 1)";
        session.connection.execute_batch(schema).unwrap();
        let quick = QuickConnection::open(&settings);
        let run = |sql: &str| {
            let statement = Statement::guest(sql, Vec::new(), Dialect::Sqlite).unwrap();
            quick.run(&statement, Caps { rows: 1_000, bytes: 1 << 20 }).is_some()
        };
        // Which of these is ended by its time, on a machine with much else to do, is tried again as another text.
        for sql in ["SELECT b FROM t WHERE a = 3", "SELECT max(a), sum(b) FROM t", "SELECT a FROM t ORDER BY b"] {
            assert!((0..100).any(|number| run(&format!("{sql} -- {number}"))), "{sql}");
        }
        for sql in [
            "SELECT count(*) FROM t",
            "SELECT rowid FROM words('one')",
            "SELECT rank FROM words('one')",
            "SELECT id FROM boxes WHERE x0 > 5",
            "SELECT value FROM json_each('[1, 2]')",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            "SELECT hex(b) FROM t",
            "INSERT INTO t VALUES (5, 6)",
        ] {
            assert!(!run(sql), "{sql}");
            // It is what the pool runs.
            let known = session.connection.prepare(sql);
            assert!(known.is_ok(), "{sql}: {:?}", known.err());
        }
    }
}

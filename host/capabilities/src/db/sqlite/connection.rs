//! A connection, and what a component may do on it.

use super::super::grant::DbGrant;
use super::super::output::Watch;
use super::super::statement::BOOKKEEPING;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 1_000;

/// The longest value, and row, that a connection for quick statements handles. The host's thread waits for it.
const QUICK_VALUE_BYTES: i32 = 16 * 1024;

/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 64;

/// PRAGMAs that only read the schema. FTS5 asks for `data_version` itself.
const PRAGMAS: &[&str] = &[
    "data_version",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Modules that virtual tables may be of: they keep what they have in the database.
const MODULES: &[&str] = &["fts5", "rtree"];

/// Where the file is, and what connections to it are limited to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) folder: PathBuf,
    pub(super) file: String,
    pub(super) statement_timeout: Duration,
    statement_bytes: u64,
    value_bytes: u64,
    parameters: u32,
    database_bytes: u64,
}

impl Settings {
    pub(super) fn new(folder: PathBuf, file: String, limits: &DbGrant) -> Self {
        Self {
            folder,
            file,
            statement_timeout: limits.statement_timeout(),
            statement_bytes: limits.statement_bytes,
            value_bytes: limits.result_bytes.max(limits.parameter_bytes).max(limits.statement_bytes),
            parameters: limits.parameters,
            database_bytes: limits.database_bytes,
        }
    }
}

/// Functions that take no longer for large values than for small ones: what a [`quick`](super::quick) statement may call.
const QUICK_FUNCTIONS: &[&str] = &["avg", "coalesce", "count", "ifnull", "max", "min", "sum", "total"];

/// What a connection's hooks look at.
#[derive(Default)]
pub(super) struct Control {
    /// Whether what is compiled comes from the component.
    guest: AtomicBool,
    /// Whether this connection is for statements that take microseconds.
    quick: AtomicBool,
    running: Mutex<Option<Running>>,
}

/// How long what runs may go on.
enum Running {
    /// Until then, or until its query is dropped.
    Until(Instant, Option<Watch>),
    /// For that many times [`STEPS`].
    Looks(u32),
}

impl Control {
    /// From now on, what runs may take until then, and ends when its query is dropped.
    pub(super) fn watch(&self, deadline: Instant, watch: Option<Watch>) {
        self.set(Running::Until(deadline, watch));
    }

    /// From now on, how many times [`STEPS`] what runs may take.
    pub(super) fn watch_steps(&self, looks: u32) {
        self.set(Running::Looks(looks));
    }

    fn set(&self, running: Running) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    fn interrupted(&self) -> bool {
        match &mut *self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            None => false,
            Some(Running::Until(deadline, watch)) => {
                Instant::now() > *deadline || watch.as_ref().is_some_and(Watch::is_closed)
            }
            Some(Running::Looks(looks)) => {
                *looks = looks.saturating_sub(1);
                *looks == 0
            }
        }
    }

    /// Does something with the component's rules on.
    pub(super) fn as_guest<T>(&self, work: impl FnOnce() -> T) -> T {
        self.guest.store(true, Ordering::Relaxed);
        let done = work();
        self.guest.store(false, Ordering::Relaxed);
        done
    }

    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        let allowed = !self.guest.load(Ordering::Relaxed)
            || (allowed(&context.action) && (!self.quick.load(Ordering::Relaxed) || is_quick(&context.action)));
        if allowed { Authorization::Allow } else { Authorization::Deny }
    }
}

fn is_quick(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Function { function_name } => {
            QUICK_FUNCTIONS.iter().any(|quick| quick.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        _ => false,
    }
}

fn allowed(action: &AuthAction<'_>) -> bool {
    let ours = |name: &str| name.eq_ignore_ascii_case(BOOKKEEPING);
    let listed = |list: &[&str], name: &str| list.iter().any(|entry| entry.eq_ignore_ascii_case(name));
    match action {
        AuthAction::Pragma { pragma_name, .. } => listed(PRAGMAS, pragma_name),
        AuthAction::CreateVtable { module_name, .. } => listed(MODULES, module_name),
        AuthAction::Function { function_name } => !listed(&["load_extension", "fts3_tokenizer"], function_name),
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. } => !ours(table_name),
        // What is temporary belongs to a connection, and connections to no one.
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::Unknown { .. } => false,
        _ => true,
    }
}

/// A connection and its hooks.
pub(crate) struct Session {
    pub(super) connection: Connection,
    pub(super) control: Arc<Control>,
    pub(super) settings: Arc<Settings>,
}

impl Session {
    /// Opens the file. `statement_bytes` is the longest text that it takes.
    pub(super) fn open(settings: &Arc<Settings>, statement_bytes: u64) -> rusqlite::Result<Self> {
        let folder = settings.folder.canonicalize().map_err(|_| {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN), None)
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(folder.join(&settings.file), flags)?;
        connection.busy_timeout(settings.statement_timeout)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(settings.database_bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update(None, "max_page_count", pages.max(1))?;
        for (option, on) in [
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            connection.set_db_config(option, on)?;
        }
        let bounded = |bytes: u64| i32::try_from(bytes.min(1_000_000_000)).unwrap_or(1_000_000_000);
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_LENGTH, bounded(settings.value_bytes.max(statement_bytes))),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, bounded(statement_bytes)),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, bounded(u64::from(settings.parameters))),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 200),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let control = Arc::new(Control::default());
        let hook = Arc::clone(&control);
        connection.progress_handler(STEPS, Some(move || hook.interrupted()));
        let hook = Arc::clone(&control);
        connection.authorizer(Some(move |context: AuthContext<'_>| hook.authorize(&context)));
        Ok(Self { connection, control, settings: Arc::clone(settings) })
    }

    /// Opens the file for a component's statements.
    pub(super) fn open_for_guest(settings: &Arc<Settings>) -> rusqlite::Result<Self> {
        Self::open(settings, settings.statement_bytes)
    }

    /// Opens the file for statements that take microseconds: they read, wait for no lock, and handle no large values.
    pub(super) fn open_quick(settings: &Arc<Settings>) -> rusqlite::Result<Self> {
        let session = Self::open_for_guest(settings)?;
        session.connection.busy_timeout(Duration::ZERO)?;
        session.connection.pragma_update(None, "query_only", 1)?;
        session.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, QUICK_VALUE_BYTES)?;
        session.control.quick.store(true, Ordering::Relaxed);
        Ok(session)
    }

    /// Runs a statement of the host's own. It is not kept compiled: a component that sent the same text would get it without
    /// being asked about it.
    pub(super) fn own(&self, sql: &str, timeout: Duration) -> rusqlite::Result<()> {
        self.control.watch(Instant::now() + timeout, None);
        self.connection.busy_timeout(timeout)?;
        self.connection.execute_batch(sql)
    }
}

//! A connection, and the rules for what a component may do on it.

use super::super::grant::DbGrant;
use super::super::statement::{BOOKKEEPING, OUTBOX};
use super::memory::Account;
use super::search::SearchFunctions;
use super::watch::{ConnectionControl, number};
use super::{functions, json_patch, like, reads, search};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, StatementStatus, ffi};
use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Steps of SQLite's machine between two looks at the clock, and those of quick statements.
const STEPS: i32 = 1_000;
const QUICK_STEPS: i32 = 10;

/// Arguments of a function, columns of a result or a table, and instructions of a compiled statement.
const ARGUMENTS: i32 = 127;
const COLUMNS: i32 = 1_000;
const INSTRUCTIONS: i32 = 100_000;

/// Bytes that the instructions of a statement together may have to look at where nothing can interrupt them, one after
/// the other: about a second's work.
const STRAIGHT_BYTES: u64 = 2 << 30;

/// Bytes of memory of an instruction and its register.
const INSTRUCTION_BYTES: u64 = 80;

/// The shortest value that every statement can handle.
const VALUE_BYTES_LEAST: u64 = 64 << 10;

/// The longest value, and row, that a connection for quick statements handles. The host's thread waits for it.
const QUICK_VALUE_BYTES: i32 = 16 * 1024;

/// Statements that a connection keeps compiled.
const STATEMENTS: usize = 64;

/// PRAGMAs that only read the schema. FTS5 asks for `data_version` itself, and rtree for `page_size`.
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

/// Modules that connections have. SQLite brings others, whose tables are there without being created, and may read the
/// whole file in one step.
const KEPT_MODULES: &[&CStr] = &[c"fts5", c"json_each", c"json_tree", c"rtree"];

/// The path of the file, and the limits of connections to it.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) folder: PathBuf,
    pub(super) file: String,
    pub(super) statement_timeout: Duration,
    statement_bytes: u64,
    value_bytes: u64,
    parameters: u32,
    database_bytes: u64,
    /// The memory that SQLite may have for the component, all connections together.
    pub(super) account: Arc<Account>,
    component: u64,
}

impl Settings {
    pub(super) fn new(folder: PathBuf, file: String, limits: &DbGrant) -> Self {
        Self {
            folder,
            file,
            statement_timeout: limits.statement_timeout(),
            statement_bytes: limits.statement_bytes,
            value_bytes: limits.parameter_bytes.max(limits.statement_bytes),
            parameters: limits.parameters,
            database_bytes: limits.database_bytes,
            account: Account::new(limits.memory_bytes),
            component: number(),
        }
    }
}

/// Functions that components may not call: they reach out of the database, or take a time that grows with the product
/// of their arguments' sizes.
const FUNCTIONS: &[&str] = &["fts3_tokenizer", "jsonb_patch", "load_extension"];

/// Functions that take no longer for large values than for small ones: what a [`quick`](super::quick) statement may
/// call. `count` is not among them: `count(*)` of a table is one step, however large the table is.
const QUICK_FUNCTIONS: &[&str] = &["avg", "coalesce", "ifnull", "max", "min", "sum", "total"];

impl ConnectionControl {
    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        let action = &context.action;
        // Not in a trigger of the component's either, which a statement of the host's may run: a row of the outbox can
        // be the parent of others, which go with it.
        let is_outbox_allowed = self.outbox.load(Ordering::Relaxed) && context.accessor.is_none();
        let allowed = !self.guest.load(Ordering::Relaxed)
            || (allowed(action)
                && (is_outbox_allowed || !is_of_outbox(action))
                && (!self.quick.load(Ordering::Relaxed) || is_quick(action)));
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

/// Whether it reads, writes, makes or changes what has the name of the outbox. SQLite asks about what triggers and
/// views do as it asks about statements.
fn is_of_outbox(action: &AuthAction<'_>) -> bool {
    let name = match action {
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
        | AuthAction::DropVtable { table_name, .. } => table_name,
        AuthAction::CreateView { view_name } | AuthAction::DropView { view_name } => view_name,
        _ => return false,
    };
    name.eq_ignore_ascii_case(OUTBOX)
}

fn allowed(action: &AuthAction<'_>) -> bool {
    let ours = |name: &str| name.eq_ignore_ascii_case(BOOKKEEPING);
    let listed = |list: &[&str], name: &str| list.iter().any(|entry| entry.eq_ignore_ascii_case(name));
    match action {
        AuthAction::Pragma { pragma_name: "page_size", pragma_value } => pragma_value.is_none(),
        AuthAction::Pragma { pragma_name, .. } => listed(PRAGMAS, pragma_name),
        AuthAction::CreateVtable { module_name, .. } => listed(MODULES, module_name),
        AuthAction::Function { function_name } => !listed(FUNCTIONS, function_name),
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. } => !ours(table_name),
        // Temporary objects belong to a connection, and connections belong to no component.
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
    /// Dropped after the connection, whose searches use it.
    _search: Option<SearchFunctions>,
    pub(super) control: Arc<ConnectionControl>,
    pub(super) settings: Arc<Settings>,
}

impl Session {
    /// Opens the file. `statement_bytes` is the longest text that it takes.
    pub(super) fn open(settings: &Arc<Settings>, statement_bytes: u64) -> rusqlite::Result<Self> {
        let control = Arc::new(ConnectionControl::new(&settings.account, settings.component));
        let until = Instant::now() + settings.statement_timeout;
        control.run(until, None, || Self::set_up(settings, statement_bytes, &control))
    }

    fn set_up(
        settings: &Arc<Settings>,
        statement_bytes: u64,
        control: &Arc<ConnectionControl>,
    ) -> rusqlite::Result<Self> {
        let control = Arc::clone(control);
        let folder = settings
            .folder
            .canonicalize()
            .map_err(|_| rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), None))?;
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
            (Limit::SQLITE_LIMIT_COLUMN, COLUMNS),
            (Limit::SQLITE_LIMIT_FUNCTION_ARG, ARGUMENTS),
            (Limit::SQLITE_LIMIT_VDBE_OP, INSTRUCTIONS),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        keep_modules(&connection, KEPT_MODULES)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        like::define(&connection, &control)?;
        json_patch::define(&connection, &control)?;
        let search = search::define(&connection, &control)?;
        functions::define(&connection, &control, bounded(settings.value_bytes.max(statement_bytes)))?;
        reads::watch(&connection)?;
        let hook = Arc::clone(&control);
        connection.progress_handler(STEPS, Some(move || hook.progress()));
        let hook = Arc::clone(&control);
        connection.authorizer(Some(move |context: AuthContext<'_>| hook.authorize(&context)));
        control.interrupt_with(connection.get_interrupt_handle());
        Ok(Self { connection, _search: Some(search), control, settings: Arc::clone(settings) })
    }

    /// Bounds the values of the statement that runs next, the more the longer it is. Comparing, counting and converting
    /// a value cannot be interrupted, and a statement may do so as often as it has instructions.
    pub(super) fn bound_values(&self, statement: &rusqlite::Statement<'_>) -> rusqlite::Result<()> {
        let memory = u64::try_from(statement.get_status(StatementStatus::MemUsed)).unwrap_or(0);
        let fair = STRAIGHT_BYTES / (memory / INSTRUCTION_BYTES).max(1);
        let bytes = fair.max(VALUE_BYTES_LEAST).min(self.settings.value_bytes);
        self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(bytes).unwrap_or(i32::MAX))?;
        Ok(())
    }

    /// Opens the file for a component's statements.
    pub(super) fn open_for_guest(settings: &Arc<Settings>) -> rusqlite::Result<Self> {
        Self::open(settings, settings.statement_bytes)
    }

    /// Opens the file for statements that take microseconds: they read, wait for no lock, and handle no large values.
    pub(super) fn open_quick(settings: &Arc<Settings>) -> rusqlite::Result<Self> {
        let mut session = Self::open_for_guest(settings)?;
        session.connection.busy_timeout(Duration::ZERO)?;
        session.connection.pragma_update(None, "query_only", 1)?;
        session.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, QUICK_VALUE_BYTES)?;
        // A step of a virtual table may search all of it.
        keep_modules(&session.connection, &[])?;
        session._search = None;
        let hook = Arc::clone(&session.control);
        session.connection.progress_handler(QUICK_STEPS, Some(move || hook.progress()));
        session.control.quick.store(true, Ordering::Relaxed);
        Ok(session)
    }

    /// Runs a statement of the host's own. It is not kept compiled: a component that sent the same text would get it
    /// without being asked about it.
    pub(super) fn own(&self, sql: &str, timeout: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(timeout)?;
        self.control.run(Instant::now() + timeout, None, || self.connection.execute_batch(sql))
    }
}

/// Takes all modules but these from a connection.
fn keep_modules(connection: &Connection, names: &[&CStr]) -> rusqlite::Result<()> {
    let mut kept: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).chain([ptr::null()]).collect();
    // SAFETY: the connection is open and this thread's, nothing was prepared that uses a module, and the list ends with
    // null.
    let dropped = unsafe { ffi::sqlite3_drop_modules(connection.handle(), kept.as_mut_ptr()) };
    if dropped == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(dropped), None))
}

//! Statements, and the checks that refuse some of them.
//!
//! SQLite asks an authorizer about every statement that it compiles, so that little has to be known about its text
//! here. PostgreSQL keeps a component's login to its schema, whatever that sends. What is refused here beside it is
//! what would use up the server (locks, large objects, settings), end a session's transaction, or mislead the checks of
//! the next statement.

use super::bindings::{Error, Value};
use super::dialect::Dialect;
use super::token::{LocatedToken, Token, scan, tokens};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The kind of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gives rows, and changes nothing that it says.
    Read,
    /// Inserts, updates or deletes.
    Write,
    /// Changes the schema, or more than rows.
    Schema,
}

/// A statement that may be sent.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// Its text, with parameters as the backend writes them.
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Value>,
    pub(crate) kind: Kind,
    /// Whether it may write: SQLite lets one write at a time.
    pub(crate) writes: bool,
    /// Whether it may leave something behind in its connection.
    pub(crate) leaves: bool,
    /// Its parameters' part of what an instance may have under way.
    pub(crate) held: Option<Arc<OwnedSemaphorePermit>>,
    /// Whether it names [`OUTBOX`], as only those of the host and of people may.
    pub(crate) names_outbox: bool,
}

/// The table of applied migrations.
pub(crate) const BOOKKEEPING: &str = "elias_migrations";

/// The table that only the host writes to. What a component could write there by itself would have the cause that it
/// says: events could lead to events for ever, and no count of hops would end it.
pub(crate) const OUTBOX: &str = "elias_outbox";
/// Bytes of a CREATE VIRTUAL TABLE of SQLite. FTS5 puts the characters that its option `tokenize` names in order by
/// comparing each with those before it, in every connection that meets the table, and nothing can end that.
const VIRTUAL_TABLE_BYTES: usize = 16 << 10;
/// Window functions of a statement of SQLite, which compares them with one another while it compiles the statement:
/// hundreds of them take seconds, in which nothing can end it.
const WINDOW_FUNCTIONS: usize = 100;

/// The words with which a statement may begin, beside CREATE, ALTER and DROP.
const BEGINNINGS: &[&str] = &["select", "with", "insert", "update", "delete", "values", "explain"];
const BEGINNINGS_SQLITE: &[&str] = &["replace", "pragma", "analyze", "reindex"];
const BEGINNINGS_POSTGRES: &[&str] = &["merge", "table", "truncate", "refresh"];

/// The objects of CREATE, ALTER and DROP that are allowed, and the words that may stand before them.
const OBJECTS: &[&str] = &["table", "index", "view", "sequence", "type", "domain"];
const OBJECTS_SQLITE: &[&str] = &["table", "index", "view", "trigger"];
const BEFORE_OBJECTS: &[&str] = &[
    "or",
    "replace",
    "unique",
    "materialized",
    "recursive",
    "unlogged",
    "global",
    "local",
    "temp",
    "temporary",
    "virtual",
];

/// Commands that there are, and that components may not send: what is neither these nor allowed is a mistake in
/// writing.
const COMMANDS: &[&str] = &[
    "abort",
    "alter",
    "analyze",
    "attach",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "declare",
    "detach",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "fetch",
    "grant",
    "import",
    "listen",
    "load",
    "lock",
    "move",
    "notify",
    "pragma",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "show",
    "start",
    "truncate",
    "unlisten",
    "vacuum",
];

/// The objects of CREATE, ALTER and DROP that components may not use.
const OTHER_OBJECTS: &[&str] = &[
    "access",
    "aggregate",
    "cast",
    "collation",
    "constraint",
    "conversion",
    "database",
    "default",
    "event",
    "extension",
    "foreign",
    "function",
    "group",
    "language",
    "large",
    "operator",
    "owned",
    "policy",
    "procedure",
    "procedural",
    "publication",
    "role",
    "routine",
    "rule",
    "schema",
    "server",
    "statistics",
    "subscription",
    "system",
    "tablespace",
    "text",
    "transform",
    "trigger",
    "trusted",
    "user",
    "domain",
    "sequence",
    "type",
];

/// Functions of PostgreSQL that run a text as a statement, change a setting, read the server's files, speak to other
/// servers, or reach other components' sessions. Most of them want privileges that a component's role does not have.
const FUNCTIONS: &[&str] = &[
    "connectby",
    "elias_migrations",
    "lo_creat",
    "lo_create",
    "lo_export",
    "lo_from_bytea",
    "lo_get",
    "lo_import",
    "lo_open",
    "lo_put",
    "lo_truncate",
    "lo_unlink",
    "loread",
    "lowrite",
    "pg_cancel_backend",
    "pg_notify",
    "pg_reload_conf",
    "pg_rotate_logfile",
    // An UPDATE of this view sets them.
    "pg_settings",
    "pg_stat_file",
    "pg_terminate_backend",
    "set_config",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];
const FUNCTION_PREFIXES: &[&str] = &[
    "crosstab",
    "cursor_to_xml",
    "database_to_xml",
    "dblink",
    "pg_advisory_",
    "pg_file_",
    "pg_ls_",
    "pg_logical_",
    "pg_read_",
    "pg_replication_",
    "pg_try_advisory_",
    "query_to_xml",
    "schema_to_xml",
    "table_to_xml",
];

impl Statement {
    /// Checks a statement that a component sent.
    pub(crate) fn guest(sql: &str, parameters: Vec<Value>, dialect: Dialect) -> Result<Self, Error> {
        let statement = Self::own(sql, parameters, dialect)?;
        if statement.names_outbox {
            let what = "is the host's own table: the option `tx` of jobs.enqueue and events.publish writes to it";
            return Err(Error::denied(format!("{OUTBOX} {what}")));
        }
        Ok(statement)
    }

    /// Checks a statement of the host's own, or of people: the same rules hold, but it may name [`OUTBOX`].
    pub(crate) fn own(sql: &str, parameters: Vec<Value>, dialect: Dialect) -> Result<Self, Error> {
        let mut placed = tokens(sql, dialect)?;
        while placed.last().is_some_and(|(token, ..)| *token == Token::Symbol(';')) {
            placed.pop();
        }
        let words: Vec<&Token> = placed.iter().map(|(token, ..)| token).collect();
        // A trigger of SQLite has statements inside of it.
        let inside = if dialect == Dialect::Sqlite { trigger_end(&words) } else { 0 };
        if words[inside..].contains(&&Token::Symbol(';')) {
            return Err(Error::denied("one statement at a time"));
        }
        check(&words, dialect)?;
        // The outbox has no other names, since escapes in identifiers are no tokens. SQLite takes strings for
        // identifiers, too, and so asks its authorizer besides.
        let is_outbox = |token: &&Token| matches!(token, Token::Word(name) | Token::Quoted(name) if name == OUTBOX);
        let names_outbox = words.iter().any(is_outbox);
        if dialect == Dialect::Sqlite {
            check_virtual_tables(sql)?;
            let mut windows = WindowFunctions::default();
            words.iter().try_for_each(|token| windows.count(token))?;
        }
        let kind = kind(&words);
        let writes = kind != Kind::Read
            || words
                .iter()
                .any(|token| ["insert", "update", "delete", "replace", "merge"].iter().any(|word| is(token, word)));
        let leaves = kind == Kind::Schema || words.iter().any(|token| is(token, "temp") || is(token, "temporary"));
        let sql = if dialect == Dialect::Postgres { dollars(sql, &placed) } else { sql.to_owned() };
        Ok(Self { sql, parameters, kind, writes, leaves, held: None, names_outbox })
    }

    /// Splits a migration for PostgreSQL into statements, each of which a component could have sent.
    pub(crate) fn split(sql: &str) -> Result<Vec<Self>, Error> {
        let placed = tokens(sql, Dialect::Postgres)?;
        let mut statements = Vec::new();
        for part in placed.split(|(token, ..)| *token == Token::Symbol(';')) {
            if let (Some((_, start, _)), Some((.., end))) = (part.first(), part.last()) {
                statements.push(Self::guest(&sql[*start..*end], Vec::new(), Dialect::Postgres)?);
            }
        }
        Ok(statements)
    }
}

/// Refuses virtual tables that are too long in statements of SQLite, of which there may be several.
///
/// # Errors
/// `too-large`; the scanner's for a text that is long enough to be looked at.
pub(crate) fn check_virtual_tables(sql: &str) -> Result<(), Error> {
    if sql.len() <= VIRTUAL_TABLE_BYTES {
        return Ok(());
    }
    // Where the token before is a CREATE, and where a virtual table began whose statement has not ended.
    let (mut create, mut table) = (None, None);
    scan(sql, Dialect::Sqlite, |(token, start, end)| {
        if token == Token::Symbol(';') {
            table = None;
        }
        table = create.take().filter(|_| is(&token, "virtual")).or(table);
        create = is(&token, "create").then_some(start);
        match table {
            Some(from) if end - from > VIRTUAL_TABLE_BYTES => {
                Err(Error::too_large(format!("CREATE VIRTUAL TABLE may have {VIRTUAL_TABLE_BYTES} bytes")))
            }
            _ => Ok(()),
        }
    })
}

/// Refuses statements of SQLite, of which there may be several, with too many window functions.
///
/// # Errors
/// `too-large`; the scanner's.
pub(crate) fn check_window_functions(sql: &str) -> Result<(), Error> {
    let mut windows = WindowFunctions::default();
    scan(sql, Dialect::Sqlite, |(token, ..)| windows.count(&token))
}

/// How many window functions a statement has had until now.
#[derive(Default)]
struct WindowFunctions(usize);

impl WindowFunctions {
    fn count(&mut self, token: &Token) -> Result<(), Error> {
        if *token == Token::Symbol(';') {
            self.0 = 0;
        }
        // Each has the word; another use of it does no harm.
        self.0 += usize::from(is(token, "over"));
        if self.0 > WINDOW_FUNCTIONS {
            return Err(Error::too_large(format!("a statement may have {WINDOW_FUNCTIONS} window functions")));
        }
        Ok(())
    }
}

/// How many of these words are of a trigger with its statements; none if it is another statement.
fn trigger_end(words: &[&Token]) -> usize {
    let mut rest = words.iter().skip_while(|token| ["explain", "query", "plan"].iter().any(|word| is(token, word)));
    let creates = rest.next().is_some_and(|token| is(token, "create"));
    let mut rest = rest.skip_while(|token| is(token, "temp") || is(token, "temporary"));
    if !creates || !rest.next().is_some_and(|token| is(token, "trigger")) {
        return 0;
    }
    // Its last statement ends with a semicolon, which nothing else that ends with END does.
    let is_end = |pair: &[&Token]| *pair[0] == Token::Symbol(';') && is(pair[1], "end");
    words.windows(2).position(is_end).map_or(words.len(), |at| at + 2)
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

fn word(token: Option<&&Token>) -> String {
    match token {
        Some(Token::Word(word)) => word.clone(),
        _ => String::new(),
    }
}

fn check(words: &[&Token], dialect: Dialect) -> Result<(), Error> {
    if words.is_empty() {
        return Err(Error::database("42601", "the statement is empty"));
    }
    if dialect == Dialect::Postgres {
        for token in words {
            let (Token::Word(name) | Token::Quoted(name)) = token else { continue };
            let listed = FUNCTIONS.contains(&name.as_str());
            if listed || FUNCTION_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                return Err(Error::denied(format!("{name} is not allowed")));
            }
        }
    }
    let start = words.iter().position(|token| **token != Token::Symbol('(')).unwrap_or(0);
    check_beginning(&words[start..], dialect)
}

fn check_beginning(words: &[&Token], dialect: Dialect) -> Result<(), Error> {
    let postgres = dialect == Dialect::Postgres;
    let first = word(words.first());
    match first.as_str() {
        "explain" => check_explained(&words[1..], dialect),
        "create" | "alter" | "drop" => {
            let objects = if postgres { OBJECTS } else { OBJECTS_SQLITE };
            let at = words.iter().skip(1).position(|token| !BEFORE_OBJECTS.contains(&word(Some(token)).as_str()));
            let object = at.map_or(0, |at| at + 1);
            let name = word(words.get(object));
            if !objects.contains(&name.as_str()) && !OTHER_OBJECTS.contains(&name.as_str()) {
                return Err(misspelt(if name.is_empty() { &first } else { &name }));
            }
            if !objects.contains(&name.as_str()) {
                return Err(Error::denied(format!("{} {} is not allowed", first.to_uppercase(), name.to_uppercase())));
            }
            // A base type or a range names functions by strings too.
            let composite =
                |pair: &[&Token]| is(pair[0], "as") && (is(pair[1], "enum") || *pair[1] == Token::Symbol('('));
            if first == "create" && name == "type" && !words.windows(2).any(composite) {
                return Err(Error::denied("CREATE TYPE is allowed for enumerations and composite types"));
            }
            Ok(())
        }
        name if BEGINNINGS.contains(&name) => Ok(()),
        name if postgres && BEGINNINGS_POSTGRES.contains(&name) => Ok(()),
        name if !postgres && BEGINNINGS_SQLITE.contains(&name) => Ok(()),
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" | "prepare" => {
            Err(Error::denied(format!("{} is not allowed as a statement: use db.transaction", first.to_uppercase())))
        }
        "" => Err(Error::database("42601", "a statement begins with a word")),
        name if !COMMANDS.contains(&name) => Err(misspelt(name)),
        _ => Err(Error::denied(format!("{} is not allowed", first.to_uppercase()))),
    }
}

/// The message of databases for a word that they do not know there.
fn misspelt(word: &str) -> Error {
    Error::database("42601", format!("syntax error at or near \"{word}\""))
}

/// EXPLAIN takes options, and then what it explains.
fn check_explained(words: &[&Token], dialect: Dialect) -> Result<(), Error> {
    let mut rest = words;
    if rest.first().is_some_and(|token| **token == Token::Symbol('(')) {
        let end = rest.iter().position(|token| **token == Token::Symbol(')')).unwrap_or(0);
        // `EXPLAIN (SELECT ...)` has no options.
        if word(rest.get(1)) != "select" && word(rest.get(1)) != "with" && word(rest.get(1)) != "values" {
            rest = &rest[end + 1..];
        } else {
            rest = &rest[1..];
        }
    }
    while ["analyze", "analyse", "verbose", "query", "plan"].contains(&word(rest.first()).as_str()) {
        rest = &rest[1..];
    }
    while rest.first().is_some_and(|token| **token == Token::Symbol('(')) {
        rest = &rest[1..];
    }
    if word(rest.first()) == "explain" {
        return Err(Error::database("42601", "EXPLAIN of EXPLAIN"));
    }
    check_beginning(rest, dialect)
}

/// The kind of a statement, by its first word or, after WITH, by the first verb that is in no parentheses.
fn kind(words: &[&Token]) -> Kind {
    let of = |word: &str| match word {
        "select" | "values" | "table" | "explain" | "pragma" => Some(Kind::Read),
        "insert" | "update" | "delete" | "merge" | "replace" => Some(Kind::Write),
        _ => None,
    };
    let start = words.iter().position(|token| **token != Token::Symbol('(')).unwrap_or(0);
    let first = word(words.get(start));
    if first != "with" {
        return of(&first).unwrap_or(Kind::Schema);
    }
    let mut depth = 0_i64;
    for token in words {
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            Token::Word(word) if depth == 0 => {
                if let Some(kind) = of(word) {
                    return kind;
                }
            }
            _ => {}
        }
    }
    Kind::Read
}

/// Writes the parameters `?1` as `$1`.
fn dollars(sql: &str, placed: &[LocatedToken]) -> String {
    let mut written = sql.to_owned();
    for (token, start, _) in placed {
        if *token == Token::Literal && sql.as_bytes()[*start] == b'?' {
            written.replace_range(*start..=*start, "$");
        }
    }
    written
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;

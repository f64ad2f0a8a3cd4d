//! Statements for PostgreSQL: what the scanner takes for one statement is one for PostgreSQL's own parser, of a kind
//! that components may send, and calls no function that they may not.
#![no_main]

mod scanner;

use libfuzzer_sys::fuzz_target;
use pg_query::NodeEnum;
use scanner::{Dialect, Input, Kind, Statement};

const WORDS: &[&str] = &[
    "SELECT",
    "1",
    "*",
    "FROM",
    "t",
    "a",
    "WHERE",
    "=",
    ";",
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE t",
    "TABLE t",
    "CREATE TABLE u (a int)",
    "CREATE",
    "OR REPLACE",
    "VIEW v AS",
    "MATERIALIZED",
    "REFRESH MATERIALIZED VIEW v",
    "TYPE m AS ENUM ('a')",
    "DROP",
    "ALTER",
    "TABLE",
    "INDEX",
    "SEQUENCE s",
    "DOMAIN d AS int",
    "FUNCTION f() RETURNS int LANGUAGE sql AS",
    "SET",
    "RESET",
    "ROLE postgres",
    "LOCAL",
    "SESSION",
    "SHOW",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "PREPARE p AS",
    "EXECUTE p",
    "DEALLOCATE p",
    "COPY t FROM PROGRAM 'x'",
    "DO",
    "CALL p()",
    "LISTEN x",
    "NOTIFY x",
    "LOCK t",
    "LOAD 'x'",
    "GRANT",
    "REVOKE",
    "VACUUM",
    "EXPLAIN",
    "ANALYZE",
    "VERBOSE",
    "(ANALYZE, FORMAT JSON)",
    "WITH",
    "w AS (",
    "RECURSIVE",
    "UNION",
    "(",
    ")",
    ",",
    "'",
    "''",
    "E'",
    "\\'",
    "\\",
    "U&'",
    "UESCAPE",
    "B'",
    "X'",
    "N'",
    "\"",
    "\"\"",
    "U&\"",
    "$$",
    "$a$",
    "$1",
    "?1",
    "/*",
    "*/",
    "--",
    "\n",
    "\r",
    "\x0b",
    "set_config('a', 'b', true)",
    "pg_read_file('x')",
    "dblink('x')",
    "lo_import('x')",
    "\"set_config\"",
    "pg_catalog.",
    "::",
    "int",
    "RETURNING a",
    "INTO u",
    "CREATE TEMP TABLE",
    "AS",
    "::jsonb ?",
    "1_000",
    "0x10",
    "1e5",
    "é",
    "\u{a0}",
    "e",
    "u&",
    "SECURITY LABEL",
    "COMMENT ON TABLE t IS 'x'",
    "pg_settings",
    "FOR UPDATE",
    "ONLY",
    "VALUES (1)",
];

/// The statements that components may send, in the parser's terms.
fn may_be_sent(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::ExplainStmt(explain) => {
            explain.query.as_ref().and_then(|query| query.node.as_ref()).is_some_and(may_be_sent)
        }
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::CreateStmt(_)
        | NodeEnum::CreateTableAsStmt(_)
        | NodeEnum::RefreshMatViewStmt(_)
        | NodeEnum::ViewStmt(_)
        | NodeEnum::IndexStmt(_)
        | NodeEnum::CreateSeqStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateDomainStmt(_)
        | NodeEnum::DropStmt(_)
        | NodeEnum::AlterTableStmt(_)
        | NodeEnum::AlterTableMoveAllStmt(_)
        | NodeEnum::AlterSeqStmt(_)
        | NodeEnum::AlterEnumStmt(_)
        | NodeEnum::AlterDomainStmt(_)
        | NodeEnum::AlterTypeStmt(_)
        | NodeEnum::AlterObjectSchemaStmt(_)
        | NodeEnum::AlterObjectDependsStmt(_)
        | NodeEnum::AlterOwnerStmt(_)
        | NodeEnum::RenameStmt(_) => true,
        // A prepared statement's result as a table.
        _ => false,
    }
}

/// Functions that the scanner has to refuse, whatever is written around them.
fn is_refused(function: &str) -> bool {
    let name = function.rsplit('.').next().unwrap_or(function);
    matches!(name, "set_config" | "query_to_xml" | "pg_notify")
        || ["pg_read_", "dblink", "lo_import", "pg_ls_"].iter().any(|prefix| name.starts_with(prefix))
}

fuzz_target!(|input: Input<'_>| {
    let sql = input.sql(WORDS);
    if sql.contains('\0') {
        return;
    }
    let Ok(statement) = Statement::guest(&sql, Vec::new(), Dialect::Postgres) else { return };
    let Ok(parsed) = pg_query::parse(&statement.sql) else { return };
    let statements = &parsed.protobuf.stmts;
    assert_eq!(statements.len(), 1, "{sql:?} is not one statement");
    let node = statements[0].stmt.as_ref().and_then(|node| node.node.as_ref()).expect("a statement has a node");
    assert!(may_be_sent(node), "{sql:?} may not be sent: {node:?}");
    for function in parsed.functions() {
        assert!(!is_refused(&function), "{sql:?} calls {function}");
    }
    if statement.kind == Kind::Read {
        let reads = matches!(node, NodeEnum::SelectStmt(_) | NodeEnum::ExplainStmt(_));
        assert!(reads, "{sql:?} does not only read: {node:?}");
    }
});

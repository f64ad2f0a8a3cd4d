//! The statements that a guest has its database run.

use super::{BLOCK, BYTES, DROP_POLLABLE, Probe};
use serde_json::json;

/// Runs a statement to its end.
const QUERY: &str = r#"
(func $check
  (if (i32.load8_u (i32.const 136))
    (then (call $refused (i32.load (i32.const 160)) (i32.load (i32.const 164))))))
(func $query (param $sql i32) (param $bytes i32) (param $values i32) (param $count i32)
  (local $running i32) (local $pollable i32)
  (call $execute (local.get $sql) (local.get $bytes) (local.get $values) (local.get $count) (i32.const 128))
  (if (i32.eqz (i32.load8_u (i32.const 128)))
    (then (call $check) (return)))
  (local.set $running (i32.load (i32.const 136)))
  (loop $again
    (local.set $pollable (call $subscribe (local.get $running)))
    (call $block (local.get $pollable))
    (call $drop-pollable (local.get $pollable))
    (call $next (local.get $running) (i32.const 128))
    (br_if $again (i32.eqz (i32.load8_u (i32.const 128))))
    (call $check)
    (br_if $again (i32.and (i32.eqz (global.get $refusal)) (i32.eqz (i32.load8_u (i32.const 160))))))
  (call $drop (local.get $running)))
(data (i32.const 512) "select length($1)")
(data (i32.const 544) "select zeroblob($1)")
(data (i32.const 576) "with recursive n(i) as (select 1 union all select i + 1 from n limit $1) select i from n")
(data (i32.const 704) "select 0 in (")
(data (i32.const 720) "select length('")
"#;

pub(super) fn probes() -> Vec<Probe> {
    const DB: &str = "elias:db/db@0.1.0";
    let statement = |what, functions: &'static [&'static str], sizes, times, before, each| Probe {
        what,
        functions,
        sizes,
        times,
        imports: vec![
            BLOCK,
            DROP_POLLABLE,
            (DB, "execute", "$execute (param i32 i32 i32 i32 i32)"),
            (DB, "[method]query.subscribe", "$subscribe (param i32) (result i32)"),
            (DB, "[method]query.next", "$next (param i32 i32)"),
            (DB, "[resource-drop]query", "$drop (param i32)"),
        ],
        code: QUERY,
        before,
        each,
        capability: Some((
            "db",
            |_| json!({ "statement-bytes": 1 << 20, "parameters": 32_000, "parameter-bytes": 16 << 20 }),
        )),
    };
    vec![
        statement(
            "a statement's text",
            &["elias:db/db#execute"],
            [1 << 10, 8 << 10, 60 << 10],
            16,
            "(memory.fill (i32.const 65536) (i32.const 97) (global.get $size))
             (memory.copy (i32.const 65536) (i32.const 720) (i32.const 15))
             (i32.store8 (i32.add (i32.const 65534) (global.get $size)) (i32.const 39))
             (i32.store8 (i32.add (i32.const 65535) (global.get $size)) (i32.const 41))",
            "(call $query (i32.const 65536) (global.get $size) (i32.const 256) (i32.const 0))",
        ),
        statement(
            "a statement's parameter",
            &[],
            BYTES,
            16,
            // A value of 16 bytes: a text.
            "(memory.fill (i32.const 65536) (i32.const 97) (global.get $size))
             (i32.store8 (i32.const 256) (i32.const 4)) (i32.store (i32.const 264) (i32.const 65536))
             (i32.store (i32.const 268) (global.get $size))",
            "(call $query (i32.const 512) (i32.const 17) (i32.const 256) (i32.const 1))",
        ),
        statement(
            "a statement's parameters",
            &[],
            [10, 100, 900],
            16,
            // select 0 in (?,?,...,9), with nulls from 1 MiB on.
            "(memory.copy (i32.const 65536) (i32.const 704) (i32.const 13))
             (loop $fill
               (i32.store16 (i32.add (i32.const 65549) (i32.mul (i32.const 2) (local.get $i))) (i32.const 0x2c3f))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $fill (i32.lt_u (local.get $i) (global.get $size))))
             (i32.store16 (i32.add (i32.const 65549) (i32.mul (i32.const 2) (global.get $size))) (i32.const 0x2939))",
            "(call $query (i32.const 65536) (i32.add (i32.const 15) (i32.mul (i32.const 2) (global.get $size)))
               (i32.const 1048576) (global.get $size))",
        ),
        statement(
            "a result's bytes",
            &[],
            BYTES,
            16,
            "(i32.store8 (i32.const 256) (i32.const 2))
             (i64.store (i32.const 264) (i64.extend_i32_u (global.get $size)))",
            "(call $query (i32.const 544) (i32.const 19) (i32.const 256) (i32.const 1))",
        ),
        statement(
            "a result's rows",
            &[],
            [100, 1_000, 20_000],
            4,
            "(i32.store8 (i32.const 256) (i32.const 2))
             (i64.store (i32.const 264) (i64.extend_i32_u (global.get $size)))",
            "(call $query (i32.const 576) (i32.const 88) (i32.const 256) (i32.const 1))",
        ),
    ]
}

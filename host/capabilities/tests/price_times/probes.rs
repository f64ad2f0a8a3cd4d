//! The functions that are measured, and how a guest calls each.
//!
//! `$size` is the size; arguments are where [`crate::guest`] says. A function that refuses what it is given does no
//! work to be measured, so each guest fails unless its calls succeed.

mod database;
mod fields;

use serde_json::{Map, Value, json};

/// A core function that a guest imports: of an interface, by its name, with the WAT of its own name and type.
pub(crate) type Import = (&'static str, &'static str, &'static str);

/// The grant for arguments of a size.
type GrantOfSize = fn(u32) -> Value;

/// A function, and a guest that calls it.
pub(crate) struct Probe {
    /// For messages.
    pub(crate) what: &'static str,
    /// The functions of the list of prices whose growth this measures, without the versions of packages.
    pub(crate) functions: &'static [&'static str],
    pub(crate) sizes: [u32; 3],
    /// Calls of one execution.
    pub(crate) times: u32,
    pub(crate) imports: Vec<Import>,
    /// Functions and texts of the guest.
    pub(crate) code: &'static str,
    /// What the guest does first.
    pub(crate) before: &'static str,
    /// What it does over and over.
    pub(crate) each: &'static str,
    capability: Option<(&'static str, GrantOfSize)>,
}

impl Probe {
    /// The capability that the guest needs, with the grant for arguments of a size.
    pub(crate) fn grant(&self, size: u32) -> Option<(&'static str, Value)> {
        self.capability.map(|(name, grant)| (name, grant(size)))
    }
}

pub(crate) fn all() -> Vec<Probe> {
    let mut probes = triggers();
    probes.extend(steps());
    probes.extend(cache());
    probes.extend(database::probes());
    probes.extend(fields::probes());
    probes.extend(others());
    probes
}

/// Sizes of texts and bytes, as far as most functions take them.
const BYTES: [u32; 3] = [4 << 10, 64 << 10, 1 << 20];

const BLOCK: Import = ("wasi:io/poll@0.2.12", "[method]pollable.block", "$block (param i32)");
const DROP_POLLABLE: Import = ("wasi:io/poll@0.2.12", "[resource-drop]pollable", "$drop-pollable (param i32)");

/// Waits for what was begun, which must have succeeded, and puts it away.
const FINISH: &str = r#"
(func $finish (param $pending i32) (local $pollable i32)
  (local.set $pollable (call $subscribe (local.get $pending)))
  (call $block (local.get $pollable))
  (call $drop-pollable (local.get $pollable))
  (call $take (local.get $pending) (i32.const 128))
  (call $fail-if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)))
  (call $fail-if (i32.load8_u (i32.const 132)))
  (call $drop (local.get $pending)))
(data (i32.const 512) "name")
(data (i32.const 528) "order.paid")
(data (i32.const 544) "{\22data.x\22:")
"#;

/// The imports of an interface with a resource `pending`.
fn pending(interface: &'static str, functions: &[(&'static str, &'static str)]) -> Vec<Import> {
    let mut imports = vec![
        BLOCK,
        DROP_POLLABLE,
        (interface, "[method]pending.subscribe", "$subscribe (param i32) (result i32)"),
        (interface, "[method]pending.take", "$take (param i32 i32)"),
        (interface, "[resource-drop]pending", "$drop (param i32)"),
    ];
    imports.extend(functions.iter().map(|(name, function)| (interface, *name, *function)));
    imports
}

fn triggers() -> Vec<Probe> {
    vec![
        Probe {
            what: "a job's input",
            functions: &["elias:jobs/jobs#enqueue"],
            // JSON is checked by the host, which takes long enough with less.
            sizes: [1 << 10, 16 << 10, 1 << 20],
            times: 16,
            imports: pending("elias:jobs/jobs@0.1.0", &[("enqueue", "$enqueue (param i32) (result i32)")]),
            code: FINISH,
            // A request is a record of 104 bytes: its name, its input, and nothing else.
            before: "(call $quoted (global.get $size))
                     (i32.store (i32.const 256) (i32.const 512)) (i32.store (i32.const 260) (i32.const 4))
                     (i32.store (i32.const 264) (i32.const 65536)) (i32.store (i32.const 268) (global.get $size))",
            each: "(call $finish (call $enqueue (i32.const 256)))",
            capability: Some(("jobs", |_| json!({ "enqueues": 10_000, "payload-bytes": 1 << 20 }))),
        },
        Probe {
            what: "an event's data",
            functions: &["elias:events/events#publish"],
            sizes: [1 << 10, 16 << 10, 1 << 20],
            times: 16,
            imports: pending(
                "elias:events/events@0.1.0",
                &[("publish", "$publish (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)")],
            ),
            code: FINISH,
            before: "(call $quoted (global.get $size))",
            each: "(call $finish (call $publish
                     (i32.const 528) (i32.const 10) (i32.const 65536) (global.get $size)
                     (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                     (i32.const 0) (i64.const 0)))",
            capability: Some(("events", |_| json!({ "publishes": 10_000, "payload-bytes": 1 << 20 }))),
        },
        Probe {
            what: "the value of a worker's call",
            functions: &["elias:workers/workers#call"],
            sizes: BYTES,
            times: 16,
            imports: pending(
                "elias:workers/workers@0.1.0",
                &[("call", "$call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)")],
            ),
            code: FINISH,
            before: "(call $quoted (global.get $size))",
            each: "(call $finish (call $call (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4)
                     (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536) (global.get $size)
                     (i32.const 0) (i32.const 0) (i32.const 0)))",
            capability: Some(("workers", |_| json!({ "calls": 10_000 }))),
        },
    ]
}

fn steps() -> Vec<Probe> {
    const STEPS: &str = "elias:workflow/steps@0.1.0";
    let grant: fn(u32) -> Value = |_| json!({ "steps": 10_000, "outcome-bytes": 1 << 20 });
    vec![
        Probe {
            what: "a step's outcome",
            functions: &["elias:workflow/steps#finish"],
            sizes: BYTES,
            times: 16,
            imports: pending(
                STEPS,
                &[
                    ("begin", "$begin (param i32 i32 i32 i32) (result i32)"),
                    ("finish", "$end (param i32 i32 i32) (result i32)"),
                ],
            ),
            code: FINISH,
            before: "(call $quoted (global.get $size))",
            // What `begin` answers has the position of the step, which is also their number so far.
            each: "(call $finish (call $begin (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 4)))
                   (call $finish (call $end (local.get $n) (i32.const 65536) (global.get $size)))",
            capability: Some(("workflow", grant)),
        },
        Probe {
            what: "a wait's filter",
            functions: &["elias:workflow/steps#wait-for"],
            sizes: [64, 1 << 10, 8 << 10],
            times: 16,
            imports: pending(STEPS, &[("wait-for", "$wait (param i32 i32 i32 i32 i32 i32 i32 i64) (result i32)")]),
            code: FINISH,
            // {"data.x":"aa...a"}
            before: "(memory.fill (i32.const 65536) (i32.const 97) (global.get $size))
                     (memory.copy (i32.const 65536) (i32.const 544) (i32.const 10))
                     (i32.store8 (i32.const 65546) (i32.const 34))
                     (i32.store8 (i32.add (i32.const 65534) (global.get $size)) (i32.const 34))
                     (i32.store8 (i32.add (i32.const 65535) (global.get $size)) (i32.const 125))",
            each: "(call $finish (call $wait (i32.const 512) (i32.const 4) (i32.const 528) (i32.const 10)
                     (i32.const 65536) (global.get $size) (i32.const 0) (i64.const 0)))",
            capability: Some(("workflow", grant)),
        },
    ]
}

/// A command that ends as begun, which it does in the host's memory.
const START: Import =
    ("elias:cache/cache@0.1.0", "start", "$start (param i32 i32 i32 i64 i64 i64 i64 i32 i32 i32 i32)");
const STARTED: &str = r#"
(func $started (call $fail-if (i32.load8_u (i32.const 128))) (call $fail-if (i32.load8_u (i32.const 136))))
(func $set
  (call $start (i32.const 2) (i32.const 512) (i32.const 1) (i64.const 65536) (i64.extend_i32_u (global.get $size))
    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
  (call $started))
(data (i32.const 512) "k")
"#;

fn cache() -> Vec<Probe> {
    let grant: fn(u32) -> Value = |_| json!({ "keys-per-call": 1_000 });
    let value = |what, each| Probe {
        what,
        functions: &[],
        sizes: BYTES,
        times: 16,
        imports: vec![START],
        code: STARTED,
        before: "(memory.fill (i32.const 65536) (i32.const 97) (global.get $size)) (call $set)",
        each,
        capability: Some(("cache", grant)),
    };
    vec![
        value("a cached value that is set", "(call $set)"),
        value(
            "a cached value that is got",
            "(call $start (i32.const 0) (i32.const 512) (i32.const 1) (i64.const 0) (i64.const 0) (i64.const 0)
               (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
             (call $started)",
        ),
        value(
            "a cached value that is compared and set",
            "(call $start (i32.const 4) (i32.const 512) (i32.const 1) (i64.const 65536)
               (i64.extend_i32_u (global.get $size)) (i64.const 0) (i64.const 0) (i32.const 1) (i32.const 65536)
               (global.get $size) (i32.const 128))
             (call $started)",
        ),
        Probe {
            what: "cached values that are got at once",
            functions: &["elias:cache/cache#start"],
            sizes: [10, 100, 1_000],
            times: 64,
            imports: vec![START],
            code: STARTED,
            before: "(loop $fill
                       (i32.store (i32.add (i32.const 65536) (local.get $i)) (i32.const 512))
                       (i32.store (i32.add (i32.const 65540) (local.get $i)) (i32.const 1))
                       (local.set $i (i32.add (local.get $i) (i32.const 8)))
                       (br_if $fill (i32.lt_u (local.get $i) (i32.mul (i32.const 8) (global.get $size)))))",
            each: "(call $start (i32.const 1) (i32.const 65536) (global.get $size) (i64.const 0) (i64.const 0)
                     (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
                   (call $started)",
            capability: Some(("cache", grant)),
        },
    ]
}

/// A table of so many values.
fn values(count: u32) -> Value {
    Value::Object((0..count).map(|number| (format!("KEY{number}"), Value::from("value"))).collect::<Map<_, _>>())
}

fn others() -> Vec<Probe> {
    const STREAMS: &str = "wasi:io/streams@0.2.12";
    let line = |what, each| Probe {
        what,
        functions: &["elias:log/log#write"],
        // Of the longest nothing but its beginning is kept.
        sizes: [128, 4 << 10, 1 << 20],
        times: 64,
        imports: vec![("elias:log/log@0.1.0", "write", "$write (param i32 i32 i32 i32 i32)")],
        code: r#"(data (i32.const 512) "    at f (app.js:1:1)\n") (data (i32.const 536) "name")"#,
        before: "(loop $fill
                   (memory.copy (i32.add (i32.const 65536) (local.get $i)) (i32.const 512) (i32.const 22))
                   (local.set $i (i32.add (local.get $i) (i32.const 22)))
                   (br_if $fill (i32.lt_u (local.get $i) (global.get $size))))
                 (i32.store (i32.const 256) (i32.const 536)) (i32.store (i32.const 260) (i32.const 4))
                 (i32.store (i32.const 264) (i32.const 65536)) (i32.store (i32.const 268) (global.get $size))",
        each,
        capability: None,
    };
    vec![
        line(
            "a log line",
            "(call $write (i32.const 2) (i32.const 65536) (global.get $size) (i32.const 256) (i32.const 0))",
        ),
        line(
            "a field of a log line",
            "(call $write (i32.const 2) (i32.const 536) (i32.const 4) (i32.const 256) (i32.const 1))",
        ),
        Probe {
            what: "names of the configuration",
            functions: &["elias:config/config#keys"],
            sizes: [4, 32, 256],
            times: 64,
            imports: vec![("elias:config/config@0.1.0", "keys", "$keys (param i32)")],
            code: "",
            before: "",
            each: "(call $keys (i32.const 128))",
            capability: Some(("config", values)),
        },
        Probe {
            what: "values of the configuration",
            functions: &["wasi:config/store#get-all"],
            sizes: [4, 32, 256],
            times: 64,
            imports: vec![("wasi:config/store@0.2.0-rc.1", "get-all", "$all (param i32)")],
            code: "",
            before: "",
            each: "(call $all (i32.const 128)) (call $fail-if (i32.load8_u (i32.const 128)))",
            capability: Some(("config", values)),
        },
        Probe {
            what: "the context of a flag's evaluation",
            functions: &["elias:feature-flags/evaluation#evaluate"],
            sizes: [128, 1 << 10, 15 << 10],
            times: 64,
            imports: vec![(
                "elias:feature-flags/evaluation@0.1.0",
                "evaluate",
                "$evaluate (param i32 i32 i32 i32 i32 i32)",
            )],
            code: r#"(data (i32.const 512) "name") (data (i32.const 65531) "{\22a\22:")"#,
            // The object has one member, whose value is the string.
            before: "(call $quoted (global.get $size))
                     (i32.store8 (i32.add (i32.const 65536) (global.get $size)) (i32.const 125))",
            each: "(call $evaluate (i32.const 512) (i32.const 4) (i32.const 0)
                     (i32.const 65531) (i32.add (global.get $size) (i32.const 6)) (i32.const 128))
                   (call $fail-if (i32.load8_u (i32.const 128)))",
            capability: Some(("flags", |_| json!({ "local": { "name": true } }))),
        },
        Probe {
            what: "zeroes that are written to a stream",
            functions: &["wasi:io/streams#[method]output-stream.write-zeroes"],
            sizes: [256, 4 << 10, 64 << 10],
            times: 64,
            imports: vec![
                ("wasi:cli/stdout@0.2.12", "get-stdout", "$stdout (result i32)"),
                (STREAMS, "[method]output-stream.check-write", "$check (param i32 i32)"),
                (STREAMS, "[method]output-stream.write-zeroes", "$zeroes (param i32 i64 i32)"),
            ],
            code: "",
            before: "(local.set $handle (call $stdout))",
            each: "(call $check (local.get $handle) (i32.const 128))
                   (call $fail-if (i32.load8_u (i32.const 128)))
                   (call $zeroes (local.get $handle) (i64.extend_i32_u (global.get $size)) (i32.const 128))
                   (call $fail-if (i32.load8_u (i32.const 128)))",
            capability: None,
        },
    ]
}

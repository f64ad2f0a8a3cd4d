//! The fields of HTTP messages that a guest makes and changes.

use super::Probe;

/// `$size` pairs of a name and a value, whose names are three letters and differ.
const FIELDS: &str = r#"
(func $names (local $i i32) (local $entry i32) (local $text i32)
  (loop $fill
    (local.set $entry (i32.add (i32.const 65536) (i32.mul (i32.const 16) (local.get $i))))
    (local.set $text (i32.add (i32.const 1048576) (i32.mul (i32.const 4) (local.get $i))))
    (i32.store8 (local.get $text) (i32.add (i32.const 97) (i32.and (local.get $i) (i32.const 15))))
    (i32.store8 offset=1 (local.get $text)
      (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get $i) (i32.const 4)) (i32.const 15))))
    (i32.store8 offset=2 (local.get $text)
      (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get $i) (i32.const 8)) (i32.const 15))))
    (i32.store (local.get $entry) (local.get $text))
    (i32.store offset=4 (local.get $entry) (i32.const 3))
    (i32.store offset=8 (local.get $entry) (i32.const 512))
    (i32.store offset=12 (local.get $entry) (i32.const 1))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $fill (i32.lt_u (local.get $i) (global.get $size)))))
;; Lists of one byte, as many.
(func $values (local $i i32) (local $entry i32)
  (loop $fill
    (local.set $entry (i32.add (i32.const 65536) (i32.mul (i32.const 8) (local.get $i))))
    (i32.store (local.get $entry) (i32.const 512))
    (i32.store offset=4 (local.get $entry) (i32.const 1))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $fill (i32.lt_u (local.get $i) (global.get $size)))))
(func $made (result i32)
  (call $from-list (i32.const 65536) (global.get $size) (i32.const 128))
  (call $fail-if (i32.load8_u (i32.const 128)))
  (i32.load (i32.const 132)))
(func $done (call $fail-if (i32.load8_u (i32.const 128))))
(data (i32.const 512) "v")
(data (i32.const 516) "aaa")
"#;

pub(super) fn probes() -> Vec<Probe> {
    const TYPES: &str = "wasi:http/types@0.2.12";
    let of = |what, functions: &'static [&'static str], before, each| Probe {
        what,
        functions,
        sizes: [16, 128, 1_024],
        times: 32,
        imports: vec![
            (TYPES, "[static]fields.from-list", "$from-list (param i32 i32 i32)"),
            (TYPES, "[constructor]fields", "$new (result i32)"),
            (TYPES, "[method]fields.get", "$get (param i32 i32 i32 i32)"),
            (TYPES, "[method]fields.set", "$set (param i32 i32 i32 i32 i32 i32)"),
            (TYPES, "[method]fields.delete", "$delete (param i32 i32 i32 i32)"),
            (TYPES, "[method]fields.append", "$append (param i32 i32 i32 i32 i32 i32)"),
            (TYPES, "[method]fields.entries", "$entries (param i32 i32)"),
            (TYPES, "[method]fields.clone", "$clone (param i32) (result i32)"),
            (TYPES, "[resource-drop]fields", "$drop (param i32)"),
        ],
        code: FIELDS,
        before,
        each,
        capability: None,
    };
    const MADE: &str = "(call $names) (local.set $handle (call $made))";
    vec![
        of(
            "fields that are made",
            &["wasi:http/types#[static]fields.from-list"],
            "(call $names)",
            "(call $drop (call $made))",
        ),
        of(
            "fields that are listed",
            &["wasi:http/types#[method]fields.entries"],
            MADE,
            "(call $entries (local.get $handle) (i32.const 128))",
        ),
        of(
            "values of a field that are set and got",
            &["wasi:http/types#[method]fields.set", "wasi:http/types#[method]fields.get"],
            "(call $values) (local.set $handle (call $new))",
            "(call $set (local.get $handle) (i32.const 516) (i32.const 3) (i32.const 65536) (global.get $size)
               (i32.const 128))
             (call $done)
             (call $get (local.get $handle) (i32.const 516) (i32.const 3) (i32.const 128))",
        ),
        // Each time on a copy, whose fields are copied with the first change.
        of(
            "fields to which one is added",
            &["wasi:http/types#[method]fields.append"],
            MADE,
            "(local.set $copy (call $clone (local.get $handle)))
             (call $append (local.get $copy) (i32.const 516) (i32.const 3) (i32.const 512) (i32.const 1)
               (i32.const 128))
             (call $done)
             (call $drop (local.get $copy))",
        ),
        of(
            "fields of which one is deleted",
            &["wasi:http/types#[method]fields.delete"],
            MADE,
            "(local.set $copy (call $clone (local.get $handle)))
             (call $delete (local.get $copy) (i32.const 516) (i32.const 3) (i32.const 128))
             (call $done)
             (call $drop (local.get $copy))",
        ),
    ]
}

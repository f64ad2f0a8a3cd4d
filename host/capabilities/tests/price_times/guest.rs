//! Components that call one function over and over.

use crate::probes::Probe;
use std::fmt::Write;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What every guest has.
///
/// Of its memory, 128 bytes from 128 on are for results, 256 and above for records, 512 and above for texts; from
/// 64 KiB on are arguments, and from 24 MiB on whatever the host gives: each thing over the one before, for nobody
/// reads it.
const COMMON: &str = r#"
(memory (export "memory") 768)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 25165824))
(func $fail-if (param i32) (if (local.get 0) (then (unreachable))))
;; Why the host refused something: a text, which is the message of the exception that the handler ends with.
(global $refusal (mut i32) (i32.const 0))
(global $refusal-bytes (mut i32) (i32.const 0))
(func $refused (param $text i32) (param $bytes i32)
  (global.set $refusal (local.get $text))
  (global.set $refusal-bytes (local.get $bytes)))
;; A JSON string of so many bytes, as arguments.
(func $quoted (param $bytes i32)
  (memory.fill (i32.const 65536) (i32.const 97) (local.get $bytes))
  (i32.store8 (i32.const 65536) (i32.const 34))
  (i32.store8 (i32.add (i32.const 65535) (local.get $bytes)) (i32.const 34)))
"#;

/// The component that a probe describes, for arguments of a size.
pub(crate) fn component(probe: &Probe, size: u32) -> Vec<u8> {
    let mut text = String::from("(module\n");
    for (interface, name, function) in &probe.imports {
        writeln!(text, "(import \"{interface}\" \"{name}\" (func {function}))").expect("text");
    }
    let Probe { code, before, each, times, .. } = probe;
    write!(
        text,
        r#"(global $size i32 (i32.const {size}))
{COMMON}
{code}
(func (export "elias:component/call@0.1.0#call") (param i32 i32) (result i32)
  (local $n i32) (local $i i32) (local $handle i32) (local $copy i32)
  {before}
  (loop $again
    {each}
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))
  (if (global.get $refusal)
    (then
      (i32.store8 (i32.const 16) (i32.const 1))
      (i64.store (i32.const 20) (i64.const 0))
      (i32.store (i32.const 28) (global.get $refusal))
      (i32.store (i32.const 32) (global.get $refusal-bytes))
      (i64.store (i32.const 36) (i64.const 0))
      (return (i32.const 16))))
  ;; The answer is the JSON text 1.
  (i32.store8 (i32.const 48) (i32.const 49))
  (i32.store8 (i32.const 16) (i32.const 0))
  (i32.store (i32.const 20) (i32.const 48))
  (i32.store (i32.const 24) (i32.const 1))
  (i32.const 16)))
"#
    )
    .expect("text");
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", probe.what));

    let mut interfaces: Vec<&str> = probe.imports.iter().map(|(interface, ..)| *interface).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    resolve.push_path(folder.join("../../wit")).expect("the WIT of the engine");
    if interfaces.iter().any(|interface| interface.starts_with("wasi:config/")) {
        resolve.push_path(folder.join("wit/wasi-config.wit")).expect("the draft");
    }
    let imports: String = interfaces.iter().map(|interface| format!("import {interface}; ")).collect();
    let world = format!("package test:times; world guest {{ {imports}export elias:component/call@0.1.0; }}");
    let package = resolve.push_str("guest.wit", &world).expect("valid WIT");
    let world = resolve.select_world(&[package], None).expect("there is one");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("it fits");
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.module(&module).and_then(ComponentEncoder::encode);
    encoded.unwrap_or_else(|error| panic!("{}: {error:#}", probe.what))
}

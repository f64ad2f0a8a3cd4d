//! The engine as this build of ELIAS carries it. `build.rs` says how it was made.

use std::sync::LazyLock;
use wasmparser::{Parser, Payload, TypeRef};

include!(concat!(env!("OUT_DIR"), "/engine_constants.rs"));

/// The engine's core module E: the same bytes in every component that this version of `elias-build` makes. (Not a
/// constant, of which each crate that names it has a copy.)
pub static ENGINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/engine.wasm"));

/// The memory with which images begin: the engine started, and the web modules evaluated that every component has. A
/// core module; `toolchain/setup/base.mjs` makes it.
pub static BASE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/base.wasm"));

/// A module with the WIT world of the engine in a custom section.
pub(crate) static WORLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/world.wasm"));

/// SHA-256 of [`ENGINE`].
pub static DIGEST: LazyLock<String> = LazyLock::new(|| elias_contract::digest(ENGINE));

/// A function that E imports.
#[derive(Debug, Clone)]
pub(crate) struct FunctionImport {
    /// The WIT interface.
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) ty: wasmparser::FuncType,
}

/// The imports of E, memory and table aside, in order.
pub(crate) static IMPORTS: LazyLock<Vec<FunctionImport>> = LazyLock::new(|| interface().0);

/// The types of the functions that E exports, by name.
pub(crate) static EXPORTS: LazyLock<Vec<(String, wasmparser::FuncType)>> = LazyLock::new(|| interface().1);

fn interface() -> (Vec<FunctionImport>, Vec<(String, wasmparser::FuncType)>) {
    let mut types = Vec::new();
    let mut functions = Vec::new();
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    // Our own file, checked when it was made: what cannot be read cannot be there.
    for payload in Parser::new(0).parse_all(ENGINE).map_while(Result::ok) {
        match payload {
            Payload::TypeSection(section) => types.extend(section.into_iter_err_on_gc_types().flatten()),
            Payload::ImportSection(section) => {
                for import in section.into_imports().flatten() {
                    if let TypeRef::Func(ty) = import.ty {
                        functions.push(ty);
                        imports.push(FunctionImport {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            ty: types[ty as usize].clone(),
                        });
                    }
                }
            }
            Payload::FunctionSection(section) => functions.extend(section.into_iter().flatten()),
            Payload::ExportSection(section) => {
                for export in section.into_iter().flatten() {
                    if export.kind == wasmparser::ExternalKind::Func {
                        let ty = functions[export.index as usize];
                        exports.push((export.name.to_owned(), types[ty as usize].clone()));
                    }
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    (imports, exports)
}

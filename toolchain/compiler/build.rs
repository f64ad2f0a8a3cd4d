//! Makes of the linked engine what `elias-build` embeds: the shared core module E, and what E's memory holds at its
//! start.
//!
//! The linker's output is one module with data. E has none: an application's image brings the memory. On the way the
//! last import of WASI preview 1 is bound to the engine's own definition, and E puts its allocator into a table of one
//! element that the image brings, where the image's trampoline finds it. (E's own table stays E's: wasmtime fills such
//! a table as it is used, and an imported one anew in every instance.)

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    ConstExpr, ElementSection, Elements, EntityType, ImportSection, Module, RawSection, RefType, TableType,
};
use wasmparser::{Parser, Payload, TypeRef};

/// The one import that Rust's std declares past the reach of the linker's symbols, and the export that takes its place.
const PREVIEW1: (&str, &str) = ("wasi_snapshot_preview1", "random_get");
const REPLACEMENT: &str = "__imported_wasi_snapshot_preview1_random_get";

fn main() {
    let engine =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../../target/engine/engine.wasm");
    let base = engine.with_file_name("base.wasm");
    println!("cargo:rerun-if-changed={}", engine.display());
    println!("cargo:rerun-if-changed={}", base.display());
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(linked) = fs::read(&engine) else {
        panic!("{} is missing: run `make engine` first", engine.display());
    };
    let made = normalise(&linked).unwrap_or_else(|error| panic!("the engine cannot be taken apart: {error}"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::copy(&base, out.join("base.wasm"))
        .unwrap_or_else(|_| panic!("{} is missing: run `make engine` first", base.display()));
    fs::write(out.join("engine.wasm"), &made.module).expect("writing to OUT_DIR");
    fs::write(out.join("world.wasm"), &made.world).expect("writing to OUT_DIR");
    let mut constants = String::new();
    let _ = write!(
        constants,
        "/// Pages of memory that E's data and stack need.\npub(crate) const MEMORY_PAGES: u64 = {};\n\
         /// Where the stack begins; it grows towards zero.\npub(crate) const STACK_TOP: usize = {};\n\
         /// The contents of memory at E's start: offset and bytes.\npub(crate) const DATA: &[(u32, &[u8])] = &[\n",
        made.memory_pages, made.stack_top
    );
    for (index, (offset, bytes)) in made.data.iter().enumerate() {
        fs::write(out.join(format!("data-{index}.bin")), bytes).expect("writing to OUT_DIR");
        let _ =
            writeln!(constants, "    ({offset}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/data-{index}.bin\"))),");
    }
    constants.push_str("];\n");
    fs::write(out.join("engine_constants.rs"), constants).expect("writing to OUT_DIR");
    fs::write(out.join("web_modules.rs"), web_modules()).expect("writing to OUT_DIR");
}

/// A table of the web modules: name relative to `guest-js/web/src`, and source. What `toolchain/setup/web.sh` bundled
/// from npm is there under `vendor/`.
fn web_modules() -> String {
    let workspace = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../..");
    let vendored = workspace.join("target/web");
    assert!(vendored.exists(), "{} is missing: run `make engine` first", vendored.display());
    let mut table = String::from("/// Web modules: name and source.\nstatic SOURCES: &[(&str, &str)] = &[\n");
    for (root, prefix) in [(workspace.join("guest-js/web/src"), ""), (vendored, "vendor/")] {
        println!("cargo:rerun-if-changed={}", root.display());
        let mut files = Vec::new();
        collect_scripts(&root, "", &mut files);
        files.sort();
        for file in files {
            let path = root.join(&file).canonicalize().expect("it was just listed");
            let name = format!("{prefix}{file}");
            let _ = writeln!(table, "    ({name:?}, include_str!({path:?})),");
        }
    }
    table.push_str("];\n");
    println!("cargo:rerun-if-changed={}", workspace.join("target/web/locales.bin").display());
    table
}

fn collect_scripts(root: &Path, folder: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
        let name = format!("{folder}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect_scripts(root, &format!("{name}/"), files);
        } else if name.ends_with(".js") {
            files.push(name);
        }
    }
}

/// The engine as components embed it, with the parts that do not depend on the component.
struct NormalisedEngine {
    module: Vec<u8>,
    /// A module with nothing but the custom sections that say which WIT world the engine has.
    world: Vec<u8>,
    data: Vec<(u32, Vec<u8>)>,
    memory_pages: u64,
    stack_top: i32,
}

/// The image's table of one element, for E's allocator. It is imported, so E's own table comes after it.
const ALLOCATOR_TABLE: TableType =
    TableType { element_type: RefType::FUNCREF, table64: false, minimum: 1, maximum: Some(1), shared: false };

/// Renumbers functions after the import `removed` has gone and `replacement` has taken its calls.
struct Renumber {
    removed: u32,
    replacement: u32,
}

impl Reencode for Renumber {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        let function = if function == self.removed { self.replacement } else { function };
        Ok(if function > self.removed { function - 1 } else { function })
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Error> {
        Ok(table + 1)
    }
}

fn normalise(linked: &[u8]) -> Result<NormalisedEngine, Box<dyn std::error::Error>> {
    let mut removed = None;
    let mut replacement = None;
    let mut realloc = None;
    let mut imported_functions = 0;
    for payload in Parser::new(0).parse_all(linked) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(_) = import.ty {
                        if (import.module, import.name) == PREVIEW1 {
                            removed = Some(imported_functions);
                        }
                        imported_functions += 1;
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    match export.name {
                        REPLACEMENT => replacement = Some(export.index),
                        "cabi_realloc" => realloc = Some(export.index),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let mut renumber = Renumber {
        removed: removed.unwrap_or(u32::MAX),
        replacement: replacement.ok_or("it does not define random_get")?,
    };
    let realloc = realloc.ok_or("it exports no cabi_realloc")?;

    let mut module = Module::new();
    let mut world = Module::new();
    let mut made =
        NormalisedEngine { module: Vec::new(), world: Vec::new(), data: Vec::new(), memory_pages: 0, stack_top: 0 };
    let mut globals_mutable = 0;
    for payload in Parser::new(0).parse_all(linked) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.clone().into_imports() {
                    let import = import?;
                    if (import.module, import.name) == PREVIEW1 {
                        continue;
                    }
                    let ty = renumber.entity_type(import.ty)?;
                    match &ty {
                        EntityType::Memory(memory) => made.memory_pages = memory.minimum,
                        EntityType::Table(_) => return Err("it imports a table".into()),
                        _ => {}
                    }
                    imports.import(import.module, import.name, ty);
                }
                imports.import("env", "allocator", EntityType::Table(ALLOCATOR_TABLE));
                module.section(&imports);
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    let global = global?;
                    if global.ty.mutable {
                        globals_mutable += 1;
                        let mut init = global.init_expr.get_operators_reader();
                        if let wasmparser::Operator::I32Const { value } = init.read()? {
                            made.stack_top = value;
                        }
                    }
                }
                copy(&mut module, &payload, linked);
            }
            Payload::ExportSection(section) => {
                let mut exports = wasm_encoder::ExportSection::new();
                for export in section.clone() {
                    let export = export?;
                    let keep = !export.name.starts_with("__imported_")
                        && !["memory", "__heap_base", "__indirect_function_table"].contains(&export.name)
                        && !export.name.starts_with("cabi_realloc");
                    if keep {
                        renumber.parse_export(&mut exports, export)?;
                    }
                }
                module.section(&exports);
            }
            Payload::ElementSection(section) => {
                let mut elements = ElementSection::new();
                renumber.parse_element_section(&mut elements, section.clone())?;
                // Last: wasmtime prepares the segments up to the first for a table that is not the module's own.
                let function = renumber.function_index(realloc)?;
                elements.active(Some(0), &ConstExpr::i32_const(0), Elements::Functions(vec![function].into()));
                module.section(&elements);
            }
            Payload::CodeSectionStart { .. } => {
                let mut code = wasm_encoder::CodeSection::new();
                let (_, range) = payload.as_section().ok_or("a code section without a range")?;
                let bytes = &linked[range.start as usize..range.end as usize];
                let reader = wasmparser::CodeSectionReader::new(wasmparser::BinaryReader::new(bytes, range.start))?;
                renumber.parse_code_section(&mut code, reader)?;
                module.section(&code);
            }
            Payload::DataSection(section) => {
                for segment in section.clone() {
                    let segment = segment?;
                    let wasmparser::DataKind::Active { offset_expr, .. } = segment.kind else {
                        return Err("it has passive data, which no image could hold".into());
                    };
                    let wasmparser::Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                        return Err("its data has no constant offset".into());
                    };
                    made.data.push((u32::try_from(value)?, segment.data.to_vec()));
                }
            }
            // The linker's start function fills zero-initialised data with zeros, since an imported memory might hold
            // anything. An image's memory is fresh.
            Payload::StartSection { .. } | Payload::DataCountSection { .. } => {}
            Payload::CustomSection(section) => {
                if section.name().starts_with("component-type") {
                    copy(&mut world, &payload, linked);
                }
            }
            _ => copy(&mut module, &payload, linked),
        }
    }
    if globals_mutable != 1 {
        return Err("it has mutable globals beside the stack pointer, which no image could hold".into());
    }
    made.module = module.finish();
    made.world = world.finish();
    Ok(made)
}

fn copy(module: &mut Module, payload: &Payload<'_>, linked: &[u8]) {
    if let Some((id, range)) = payload.as_section() {
        module.section(&RawSection { id, data: &linked[range.start as usize..range.end as usize] });
    }
}

//! The layout of a component's file: the positions of its engine, its image and its sections.
//!
//! A bundled component carries the engine E as its first core module. A *thin* one imports it instead, under the
//! name `elias:engine/e<sha256>`. E stands at index 0 of the core modules in both, so that one form becomes the other
//! by exchanging sections. A thin one may also name a [base](crate::base), and carry of its image only what differs.

use crate::digest;
use crate::manifest::{MANIFEST_SECTION, Manifest, ManifestError, SBOM_SECTION, SOURCE_MAP_SECTION};
use crate::payloads::payloads;
use crate::swap::CODE_SECTION;
use std::ops::Range;
use wasm_encoder::{
    ComponentImportSection, ComponentSection, ComponentTypeRef, CoreTypeSection, EntityType, ModuleType, RawSection,
    reencode::{Reencode, RoundtripReencoder},
};
use wasmparser::{Encoding, Parser, Payload};

/// The custom section in which a thin component names its [base](crate::base): the digest in hexadecimal.
pub const BASE_SECTION: &str = "elias:base";

/// The package under which thin components import the engine.
const ENGINE_IMPORT_PREFIX: &str = "elias:engine/e";

/// The parts of a component that [`read`] found.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The manifest, if the component was made by `elias-build`.
    pub manifest: Option<Manifest>,
    /// The manifest's JSON as it is in the component.
    pub manifest_json: Option<&'a [u8]>,
    /// The source map's JSON, if there is one.
    pub source_map: Option<&'a [u8]>,
    /// The code for workers of other versions, if there is one; see [`crate::swap`].
    pub code: Option<&'a [u8]>,
    /// The bill of materials' JSON, if there is one.
    pub sbom: Option<&'a [u8]>,
    /// The digest of the base from which the image differs by what the component carries; `None` if it carries it
    /// whole.
    pub base: Option<String>,
    /// How the engine is bound; `None` for components of other toolchains.
    pub engine: Option<EngineBinding<'a>>,
}

/// How a component is bound to its engine.
#[derive(Debug)]
pub enum EngineBinding<'a> {
    /// The component carries it.
    Carried {
        /// The core module's bytes; their SHA-256 was found equal to the manifest's.
        module: &'a [u8],
        /// SHA-256 in hexadecimal.
        digest: String,
        /// The whole section in the component's bytes, header included.
        section: Range<usize>,
    },
    /// The component is thin: the host must have it.
    Imported {
        /// SHA-256 in hexadecimal.
        digest: String,
    },
}

/// Why a component's outer structure is refused.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Neither a module nor a component, or cut short.
    #[error("not a WebAssembly component: {0}")]
    Malformed(#[from] wasmparser::BinaryReaderError),
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; build it with elias-build, or wrap it with \
         wasm-tools component new"
    )]
    CoreModule,
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest names an engine whose digest is not that of the first core module.
    #[error(
        "the engine in the component has digest {found}, its manifest says {expected}: the file was damaged or altered"
    )]
    EngineMismatch {
        /// The digest in the manifest.
        expected: String,
        /// The digest of the bytes.
        found: String,
    },
    /// A manifest without an engine.
    #[error("the component has an elias manifest but neither carries nor imports an engine")]
    NoEngine,
    /// The engine's core module has a type that no engine of ELIAS has.
    #[error("the component's first core module is not an ELIAS engine: it uses types that engines do not have")]
    UnsupportedEngine,
    /// The section that names the base does not.
    #[error("the component's section `elias:base` must be 64 hexadecimal digits: the file was damaged or altered")]
    BaseName,
    /// [`thin`] was asked of a component that does not carry an engine.
    #[error("the component does not carry an engine, so none can be left out")]
    NothingToLeaveOut,
}

/// The name under which a thin component imports the engine with this digest.
#[must_use]
pub fn engine_import(digest: &str) -> String {
    format!("{ENGINE_IMPORT_PREFIX}{digest}")
}

/// Reads the outer structure of a component; its modules and types are left to the compiler.
///
/// # Errors
/// See [`LayoutError`].
pub fn read(component: &[u8]) -> Result<Layout<'_>, LayoutError> {
    read_with(component, |_| None)
}

/// As [`read`], where `known` gives the engine with a digest, if the host has it: a component that carries the same
/// bytes is recognized by comparing them, which takes a tenth of the time of their digest.
///
/// # Errors
/// See [`LayoutError`].
pub fn read_with<'a, 'k>(
    component: &'a [u8],
    known: impl FnOnce(&str) -> Option<&'k [u8]>,
) -> Result<Layout<'a>, LayoutError> {
    let mut manifest = None;
    let mut manifest_json = None;
    let mut source_map = None;
    let mut code = None;
    let mut sbom = None;
    let mut base = None;
    let mut first_module = None;
    let mut imported = None;
    let mut depth = 0_u32;
    // A section's header stands between the end of what came before it and the start of its content.
    let mut end_of_previous = 0;
    for payload in payloads(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, range, .. } if depth == 0 => {
                if *encoding == Encoding::Module {
                    return Err(LayoutError::CoreModule);
                }
                end_of_previous = range.end;
            }
            Payload::ModuleSection { unchecked_range, .. } if depth == 0 => {
                if first_module.is_none() {
                    first_module = Some((slice(unchecked_range), slice(&(end_of_previous..unchecked_range.end))));
                }
                end_of_previous = unchecked_range.end;
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                if depth == 0 {
                    end_of_previous = unchecked_range.end;
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                end_of_previous = section.range().end;
                match section.name() {
                    MANIFEST_SECTION => {
                        manifest = Some(Manifest::parse(section.data())?);
                        manifest_json = Some(section.data());
                    }
                    SBOM_SECTION => sbom = Some(section.data()),
                    BASE_SECTION => base = Some(base_digest(section.data())?),
                    SOURCE_MAP_SECTION => source_map = Some(section.data()),
                    CODE_SECTION => code = Some(section.data()),
                    _ => {}
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                end_of_previous = section.range().end;
                for import in section.clone() {
                    if let Some(digest) = import?.name.name.strip_prefix(ENGINE_IMPORT_PREFIX) {
                        imported = Some(digest.to_owned());
                    }
                }
            }
            _ if depth == 0 => {
                if let Some((_, range)) = payload.as_section() {
                    end_of_previous = range.end;
                }
            }
            _ => {}
        }
    }
    let engine = match (&manifest, imported, first_module) {
        (None, ..) => None,
        (Some(Manifest { engine: expected, .. }), Some(found), _) => {
            check_digest(expected, &found)?;
            Some(EngineBinding::Imported { digest: found })
        }
        (Some(Manifest { engine: expected, .. }), None, Some((module, section))) => {
            let module = &component[module];
            if known(expected) != Some(module) {
                check_digest(expected, &digest(module))?;
            }
            Some(EngineBinding::Carried { module, digest: expected.clone(), section })
        }
        (Some(_), None, None) => return Err(LayoutError::NoEngine),
    };
    Ok(Layout { manifest, manifest_json, source_map, code, sbom, base, engine })
}

/// The digest that the section of the base has.
fn base_digest(section: &[u8]) -> Result<String, LayoutError> {
    let is_digest = section.len() == 64 && section.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    str::from_utf8(section).ok().filter(|_| is_digest).map(str::to_owned).ok_or(LayoutError::BaseName)
}

/// A core module in a component's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreModule {
    /// The module's own bytes.
    pub module: Range<usize>,
    /// The whole section, header included.
    pub section: Range<usize>,
}

/// The core modules of a component; not those of the components in it.
///
/// # Errors
/// If the component is cut short.
pub fn core_modules(component: &[u8]) -> Result<Vec<CoreModule>, wasmparser::BinaryReaderError> {
    let sections = sections(component)?.into_iter();
    Ok(sections
        .filter_map(|Section { range, kind }| match kind {
            SectionKind::CoreModule(module) => Some(CoreModule { section: range, module }),
            _ => None,
        })
        .collect())
}

/// A section of a component, with its header.
pub(crate) struct Section {
    pub(crate) range: Range<usize>,
    pub(crate) kind: SectionKind,
}

/// The content.
pub(crate) enum SectionKind {
    /// A core module, at this place.
    CoreModule(Range<usize>),
    /// Bytes that mean nothing to whoever compiles the component.
    Custom,
    Other,
}

/// The sections of a component, without those of what is nested in it.
///
/// # Errors
/// If the component is cut short.
pub(crate) fn sections(component: &[u8]) -> Result<Vec<Section>, wasmparser::BinaryReaderError> {
    let mut sections = Vec::new();
    let mut depth = 0_u32;
    let mut end_of_previous = 0;
    for payload in payloads(component) {
        let payload = payload?;
        let (is_nested, content) = match &payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                (false, Some((unchecked_range.clone(), SectionKind::CoreModule(slice(unchecked_range)))))
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                (true, Some((unchecked_range.clone(), SectionKind::Other)))
            }
            Payload::Version { range, .. } => {
                if depth == 0 {
                    end_of_previous = range.end as usize;
                }
                (false, None)
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                (false, None)
            }
            Payload::CustomSection(custom) => (false, Some((custom.range(), SectionKind::Custom))),
            payload => (false, payload.as_section().map(|(_, range)| (range, SectionKind::Other))),
        };
        if let Some((content, kind)) = content
            && depth == 0
        {
            let end = content.end as usize;
            sections.push(Section { range: end_of_previous..end, kind });
            end_of_previous = end;
        }
        depth += u32::from(is_nested);
    }
    Ok(sections)
}

/// Offsets in a slice fit a `usize`; the parser counts in `u64`.
fn slice(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn check_digest(expected: &str, found: &str) -> Result<(), LayoutError> {
    if expected == found {
        return Ok(());
    }
    Err(LayoutError::EngineMismatch { expected: expected.to_owned(), found: found.to_owned() })
}

/// The thin form of a component whose first core module is `engine`, for a component that has no manifest yet.
///
/// # Errors
/// [`LayoutError::NothingToLeaveOut`] if `engine` is not its first core module.
pub fn thin_of_engine(component: &[u8], engine: &[u8], digest: &str) -> Result<Vec<u8>, LayoutError> {
    let mut end_of_previous = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { unchecked_range, .. } => {
                let module = slice(&unchecked_range);
                if &component[module.clone()] != engine {
                    break;
                }
                return leave_out(component, engine, digest, end_of_previous..module.end);
            }
            Payload::Version { range, .. } => end_of_previous = range.end as usize,
            // Nested components before the engine: their sections are not ours.
            Payload::ComponentSection { .. } => break,
            payload => {
                if let Some((_, range)) = payload.as_section() {
                    end_of_previous = range.end as usize;
                }
            }
        }
    }
    Err(LayoutError::NothingToLeaveOut)
}

/// The thin form of a component that carries its engine.
///
/// # Errors
/// As [`read`]; [`LayoutError::NothingToLeaveOut`] if it carries no engine.
pub fn thin(component: &[u8]) -> Result<Vec<u8>, LayoutError> {
    match read(component)?.engine {
        Some(EngineBinding::Carried { module, digest, section }) => leave_out(component, module, &digest, section),
        _ => Err(LayoutError::NothingToLeaveOut),
    }
}

/// Exchanges the engine at `section` for its import.
///
/// # Errors
/// [`LayoutError::Malformed`] if the engine's own sections cannot be read.
pub fn leave_out(component: &[u8], module: &[u8], digest: &str, section: Range<usize>) -> Result<Vec<u8>, LayoutError> {
    let import = engine_import_sections(module, digest)?;
    Ok([&component[..section.start], &import, &component[section.end..]].concat())
}

/// The sections that stand in a thin component where a self-contained one carries its engine.
///
/// # Errors
/// As [`leave_out`].
pub fn engine_import_sections(module: &[u8], digest: &str) -> Result<Vec<u8>, LayoutError> {
    let mut types = CoreTypeSection::new();
    types.ty().module(&module_type(module)?);
    let mut imports = ComponentImportSection::new();
    imports.import(engine_import(digest).as_str(), ComponentTypeRef::Module(0));

    let mut sections = Vec::new();
    types.append_to_component(&mut sections);
    imports.append_to_component(&mut sections);
    Ok(sections)
}

/// The type of a core module: everything it imports and exports.
fn module_type(module: &[u8]) -> Result<ModuleType, LayoutError> {
    let mut ty = ModuleType::new();
    let mut signatures = Vec::new(); // by type index
    let mut functions = Vec::new(); // type index by function index
    let mut globals = Vec::new();
    let mut memories = Vec::new();
    let mut tables = Vec::new();
    let unsupported = || LayoutError::UnsupportedEngine;
    let entity = |reference: wasmparser::TypeRef| -> Result<EntityType, LayoutError> {
        RoundtripReencoder.entity_type(reference).map_err(|_| unsupported())
    };
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for signature in section.into_iter_err_on_gc_types() {
                    let signature = RoundtripReencoder.func_type(signature?).map_err(|_| unsupported())?;
                    ty.ty().func_type(&signature);
                    signatures.push(signature);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        wasmparser::TypeRef::Func(index) => functions.push(index),
                        wasmparser::TypeRef::Global(global) => globals.push(global),
                        wasmparser::TypeRef::Memory(memory) => memories.push(memory),
                        wasmparser::TypeRef::Table(table) => tables.push(table),
                        _ => return Err(unsupported()),
                    }
                    ty.import(import.module, import.name, entity(import.ty)?);
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    functions.push(index?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    globals.push(global?.ty);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let index = export.index as usize;
                    let reference = match export.kind {
                        wasmparser::ExternalKind::Func => functions.get(index).copied().map(wasmparser::TypeRef::Func),
                        wasmparser::ExternalKind::Global => {
                            globals.get(index).copied().map(wasmparser::TypeRef::Global)
                        }
                        wasmparser::ExternalKind::Memory => {
                            memories.get(index).copied().map(wasmparser::TypeRef::Memory)
                        }
                        wasmparser::ExternalKind::Table => tables.get(index).copied().map(wasmparser::TypeRef::Table),
                        _ => None,
                    };
                    ty.export(export.name, entity(reference.ok_or_else(unsupported)?)?);
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(ty)
}

/// Appends a custom section to a component or module.
pub fn append_custom_section(wasm: &mut Vec<u8>, name: &str, data: &[u8]) {
    wasm_encoder::CustomSection { name: name.into(), data: data.into() }.append_to_component(wasm);
}

/// One section of a core module, copied as it is.
#[must_use]
pub fn raw_section(id: u8, data: &[u8]) -> RawSection<'_> {
    RawSection { id, data }
}

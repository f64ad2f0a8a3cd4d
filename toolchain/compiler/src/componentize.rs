//! Writes a component around the engine E and an application's image I.
//!
//! `wit-component` does what is hard, the types: it encodes a stub, a core module with just the imports and exports
//! that the application uses. Its output is then taken apart and put together again around E and I. Where
//! wit-component needs a shim and a fix-up module because a module's memory does not exist before the module, here I
//! exists first: it gives memory and allocator to the lowered imports, so E is instantiated with those directly and a
//! call costs no detour.

use crate::capabilities::{self, ImportedFunctions};
use crate::engine::{self, ENGINE, FunctionImport};
use crate::image;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection, ComponentExportKind,
    ComponentOuterAliasKind, ExportKind, InstanceSection, ModuleArg, RawSection,
};
use wasmparser::{CanonicalFunction, ComponentAlias, ComponentExternalKind, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};

/// The input of `componentize`.
pub(crate) struct Parts<'a> {
    /// The content of memory, by offset.
    pub(crate) data: Vec<(u32, &'a [u8])>,
    /// Memory's size in units of 64 KiB.
    pub(crate) pages: u64,
    /// The WIT interfaces that the component imports; E's other imports are wired to traps.
    pub(crate) imports: &'a [String],
    /// The functions that it imports from capabilities which E does not know.
    pub(crate) capabilities: &'a ImportedFunctions<'a>,
    /// The WIT interfaces that it exports.
    pub(crate) exports: &'a [String],
}

/// The component, without the custom sections of ELIAS.
pub(crate) fn componentize(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let (wired, left_out): (Vec<&FunctionImport>, Vec<&FunctionImport>) = engine::IMPORTS
        .iter()
        .filter(|import| import.module != capabilities::ENGINE_IMPORT || parts.capabilities.functions().is_empty())
        .partition(|import| parts.imports.contains(&import.module));
    let stub = stub(&wired, parts)?;
    let typed = ComponentEncoder::default().module(&stub)?.validate(false).encode().context("encoding the types")?;
    Rewiring::new(parts, &left_out).rewire(&typed)
}

/// A core module with E's interface as far as the component uses it, and nothing behind it.
fn stub(wired: &[&FunctionImport], parts: &Parts<'_>) -> Result<Vec<u8>> {
    let mut types = wasm_encoder::TypeSection::new();
    let mut imports = wasm_encoder::ImportSection::new();
    let mut functions = wasm_encoder::FunctionSection::new();
    let mut exports = wasm_encoder::ExportSection::new();
    let mut code = wasm_encoder::CodeSection::new();
    for import in wired {
        imports.import(&import.module, &import.name, wasm_encoder::EntityType::Function(types.len()));
        types.ty().func_type(&RoundtripReencoder.func_type(import.ty.clone())?);
    }
    for function in parts.capabilities.functions() {
        imports.import(function.module, function.name(), wasm_encoder::EntityType::Function(types.len()));
        let (parameters, result) = capabilities::core_types(&parts.capabilities.signature(function));
        types.ty().function(parameters, result);
    }
    let imported = types.len();
    let is_exported = |name: &str| {
        let name = name.strip_prefix("cabi_post_").unwrap_or(name);
        name.split_once('#').is_some_and(|(interface, _)| parts.exports.iter().any(|export| export == interface))
    };
    let realloc = wasm_encoder::FuncType::new([wasm_encoder::ValType::I32; 4], [wasm_encoder::ValType::I32]);
    let exported = engine::EXPORTS.iter().filter(|(name, _)| is_exported(name));
    let exported = exported.map(|(name, ty)| Ok((name.as_str(), RoundtripReencoder.func_type(ty.clone())?)));
    for (defined, export) in (imported..).zip(exported.chain([Ok((image::REALLOC_EXPORT, realloc))])) {
        let (name, ty) = export.map_err(|error: wasm_encoder::reencode::Error| error)?;
        functions.function(types.len());
        types.ty().func_type(&ty);
        exports.export(name, ExportKind::Func, defined);
        let mut body = wasm_encoder::Function::new([]);
        body.instructions().unreachable().end();
        code.function(&body);
    }
    exports.export("memory", ExportKind::Memory, 0);
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(wasm_encoder::MemoryType {
        minimum: 0,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories).section(&exports).section(&code);
    let mut module = module.finish();

    let (_, bindgen) = wit_component::metadata::decode(engine::WORLD)?;
    let (mut resolve, world) = (bindgen.resolve, bindgen.world);
    parts.capabilities.add_to(&mut resolve, world)?;
    let names: HashMap<_, _> = resolve.interfaces.iter().map(|(id, _)| (id, resolve.id_of(id))).collect();
    let keep = |key: &wit_parser::WorldKey, among: &[String]| match key {
        wit_parser::WorldKey::Interface(id) => names[id].as_ref().is_some_and(|name| among.contains(name)),
        wit_parser::WorldKey::Name(_) => false,
    };
    resolve.worlds[world].exports.retain(|key, _| keep(key, parts.exports));
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(module)
}

/// Where the core items stand that [`Rewiring`] defines, each in its index space.
mod at {
    pub(super) const MODULE_ENGINE: u32 = 0;
    pub(super) const MODULE_IMAGE: u32 = 1;
    pub(super) const MODULE_ADAPTER: u32 = 2;
    pub(super) const INSTANCE_IMAGE: u32 = 0;
    pub(super) const MEMORY: u32 = 0;
    pub(super) const TABLE: u32 = 0;
    pub(super) const FUNCTION_REALLOC: u32 = 0;
}

/// Takes wit-component's component apart, item by item, and writes ours.
struct Rewiring<'a> {
    parts: &'a Parts<'a>,
    left_out: &'a [&'a FunctionImport],
    out: Component,
    /// Imported instances' interface names, by instance index.
    instances: Vec<Option<String>>,
    /// Interface and name that a component function index stands for, where it is an import.
    functions: Vec<Option<(String, String)>>,
    /// The same for types.
    types: Vec<Option<(String, String)>>,
    /// How each import is lowered, by interface and core name.
    lowered: HashMap<(String, String), Lowering>,
    /// The names of the original's core functions in the module that exports them, by their index there.
    original_functions: Vec<Option<String>>,
    /// Core functions defined so far in ours.
    core_functions: u32,
    /// E's instance, once it is there.
    engine_instance: Option<u32>,
}

enum Lowering {
    Call { function: u32, options: Vec<CanonicalOption> },
    Drop { resource: u32 },
}

impl<'a> Rewiring<'a> {
    fn new(parts: &'a Parts<'a>, left_out: &'a [&'a FunctionImport]) -> Self {
        Self {
            parts,
            left_out,
            out: Component::new(),
            instances: Vec::new(),
            functions: Vec::new(),
            types: Vec::new(),
            lowered: HashMap::new(),
            original_functions: Vec::new(),
            core_functions: 0,
            engine_instance: None,
        }
    }

    fn rewire(mut self, typed: &[u8]) -> Result<Vec<u8>> {
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(typed) {
            let payload = payload?;
            match &payload {
                Payload::ModuleSection { .. } => depth += 1, // the stub, the shim, the fix-ups: all left behind
                Payload::ComponentSection { unchecked_range, .. } => {
                    if depth == 0 {
                        let data = &typed[unchecked_range.start as usize..unchecked_range.end as usize];
                        self.out.section(&RawSection { id: wasm_encoder::ComponentSectionId::Component as u8, data });
                    }
                    depth += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                Payload::Version { .. } | Payload::InstanceSection(_) | Payload::CustomSection(_) => {}
                Payload::ComponentAliasSection(section) => {
                    for alias in section.clone() {
                        self.alias(alias?)?;
                    }
                }
                Payload::ComponentCanonicalSection(section) => {
                    for function in section.clone() {
                        self.canonical(function?)?;
                    }
                }
                _ => {
                    self.count(&payload)?;
                    if let Some((id, range)) = payload.as_section() {
                        let data = &typed[range.start as usize..range.end as usize];
                        self.out.section(&RawSection { id, data });
                    }
                }
            }
        }
        Ok(self.out.finish())
    }

    /// Keeps count of the items that a copied section defines.
    fn count(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import?;
                    match import.ty {
                        wasmparser::ComponentTypeRef::Instance(_) => {
                            self.instances.push(Some(import.name.name.to_owned()));
                        }
                        wasmparser::ComponentTypeRef::Func(_) => self.functions.push(None),
                        wasmparser::ComponentTypeRef::Type(_) => self.types.push(None),
                        _ => bail!("an import of a kind that the engine does not have: {}", import.name.name),
                    }
                }
            }
            Payload::ComponentTypeSection(section) => self.types.extend((0..section.count()).map(|_| None)),
            Payload::ComponentInstanceSection(section) => self.instances.extend((0..section.count()).map(|_| None)),
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    match export?.kind {
                        ComponentExternalKind::Instance => self.instances.push(None),
                        ComponentExternalKind::Func => self.functions.push(None),
                        ComponentExternalKind::Type => self.types.push(None),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Result<()> {
        let mut section = ComponentAliasSection::new();
        match alias {
            ComponentAlias::CoreInstanceExport { kind, name, .. } => {
                if kind == wasmparser::ExternalKind::Func {
                    self.original_functions.push(Some(name.to_owned()));
                }
                return Ok(());
            }
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let origin = self.instances.get(instance_index as usize).cloned().flatten();
                let origin = origin.map(|interface| (interface, name.to_owned()));
                let kind = match kind {
                    ComponentExternalKind::Func => {
                        self.functions.push(origin);
                        ComponentExportKind::Func
                    }
                    ComponentExternalKind::Type => {
                        self.types.push(origin);
                        ComponentExportKind::Type
                    }
                    _ => bail!("an alias of a kind that the engine does not have: {name}"),
                };
                section.alias(Alias::InstanceExport { instance: instance_index, kind, name });
            }
            ComponentAlias::Outer { kind, count, index } => {
                if !matches!(kind, wasmparser::ComponentOuterAliasKind::Type) {
                    bail!("an outer alias of a kind that the engine does not have");
                }
                self.types.push(None);
                section.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count, index });
            }
        }
        self.out.section(&section);
        Ok(())
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<()> {
        match function {
            CanonicalFunction::Lower { func_index, options } => {
                self.original_functions.push(None);
                let origin = self.functions.get(func_index as usize).cloned().flatten();
                let origin = origin.context("a function that is not an import is lowered")?;
                let options = options.iter().map(|option| our_option(*option, None)).collect::<Result<_>>()?;
                self.lowered.insert(origin, Lowering::Call { function: func_index, options });
            }
            CanonicalFunction::ResourceDrop { resource } => {
                self.original_functions.push(None);
                let origin = self.types.get(resource as usize).cloned().flatten();
                let (interface, name) = origin.context("a resource that is not an import is dropped")?;
                self.lowered.insert((interface, format!("[resource-drop]{name}")), Lowering::Drop { resource });
            }
            CanonicalFunction::Lift { core_func_index, type_index, options } => {
                let engine = self.engine()?;
                let name = self.original_name(core_func_index)?;
                let lifted = self.alias_core(engine, ExportKind::Func, &name);
                let mut post_return = None;
                for option in &options {
                    if let wasmparser::CanonicalOption::PostReturn(function) = option {
                        let name = self.original_name(*function)?;
                        post_return = Some(self.alias_core(engine, ExportKind::Func, &name));
                    }
                }
                let options: Vec<_> =
                    options.iter().map(|option| our_option(*option, post_return)).collect::<Result<_>>()?;
                let mut section = CanonicalFunctionSection::new();
                section.lift(lifted, type_index, options);
                self.out.section(&section);
                self.functions.push(None);
            }
            other => bail!("a canonical function that the engine does not have: {other:?}"),
        }
        Ok(())
    }

    fn original_name(&self, function: u32) -> Result<String> {
        let name = self.original_functions.get(function as usize).cloned().flatten();
        name.context("a function is lifted that the engine does not export")
    }

    fn alias_core(&mut self, instance: u32, kind: ExportKind, name: &str) -> u32 {
        let mut section = ComponentAliasSection::new();
        section.alias(Alias::CoreInstanceExport { instance, kind, name });
        self.out.section(&section);
        if kind == ExportKind::Func {
            self.core_functions += 1;
        }
        self.core_functions.saturating_sub(1)
    }

    /// E's instance; writes the core modules and instances when first asked, which is when all imports are known.
    fn engine(&mut self) -> Result<u32> {
        if let Some(instance) = self.engine_instance {
            return Ok(instance);
        }
        let mut trap_types = Vec::new();
        for import in self.left_out {
            if !trap_types.contains(&import.ty) {
                trap_types.push(import.ty.clone());
            }
        }
        let image = image::encode(self.parts.data.iter().copied(), self.parts.pages, &trap_types);
        // The engine comes first: `elias_contract::layout` exchanges it for an import at the same index.
        self.out.section(&RawSection { id: wasm_encoder::ComponentSectionId::CoreModule as u8, data: ENGINE });
        self.out.section(&RawSection { id: wasm_encoder::ComponentSectionId::CoreModule as u8, data: &image });

        let mut instances = InstanceSection::new();
        instances.instantiate::<[(&str, ModuleArg); 0], &str>(at::MODULE_IMAGE, []);
        self.out.section(&instances);
        self.alias_core(at::INSTANCE_IMAGE, ExportKind::Memory, image::MEMORY_EXPORT);
        self.alias_core(at::INSTANCE_IMAGE, ExportKind::Table, image::TABLE_EXPORT);
        self.alias_core(at::INSTANCE_IMAGE, ExportKind::Func, image::REALLOC_EXPORT);

        let traps: Vec<u32> = (0..trap_types.len())
            .map(|index| self.alias_core(at::INSTANCE_IMAGE, ExportKind::Func, &image::trap_export(index)))
            .collect();
        let adapter = self.adapter()?;
        let mut by_interface: Vec<(&str, Vec<(&str, u32)>)> = Vec::new();
        for import in engine::IMPORTS.iter() {
            let function = match (self.lower(&import.module, &import.name), &adapter) {
                (Some(function), _) => function,
                (None, Some(adapter)) if import.module == capabilities::ENGINE_IMPORT => adapter.call,
                (None, _) => {
                    let ty = trap_types.iter().position(|ty| *ty == import.ty);
                    traps[ty.with_context(|| format!("{} {} was not encoded", import.module, import.name))?]
                }
            };
            match by_interface.iter_mut().find(|(interface, _)| *interface == import.module) {
                Some((_, functions)) => functions.push((&import.name, function)),
                None => by_interface.push((&import.module, vec![(&import.name, function)])),
            }
        }
        let mut instances = InstanceSection::new();
        instances.export_items([
            ("memory", ExportKind::Memory, at::MEMORY),
            (image::TABLE_EXPORT, ExportKind::Table, at::TABLE),
        ]);
        let mut instance = adapter.map_or(at::INSTANCE_IMAGE, |adapter| adapter.instance) + 1;
        let mut arguments = vec![("env", ModuleArg::Instance(instance))];
        for (interface, functions) in &by_interface {
            instances.export_items(functions.iter().map(|(name, index)| (*name, ExportKind::Func, *index)));
            instance += 1;
            arguments.push((interface, ModuleArg::Instance(instance)));
        }
        instance += 1;
        instances.instantiate(at::MODULE_ENGINE, arguments);
        self.out.section(&instances);
        self.engine_instance = Some(instance);
        Ok(instance)
    }

    /// Lowers an import, if the component has it; gives the core function.
    fn lower(&mut self, interface: &str, name: &str) -> Option<u32> {
        let lowering = self.lowered.get(&(interface.to_owned(), name.to_owned()))?;
        let mut section = CanonicalFunctionSection::new();
        match lowering {
            Lowering::Call { function, options } => section.lower(*function, options.iter().copied()),
            Lowering::Drop { resource } => section.resource_drop(*resource),
        };
        self.out.section(&section);
        self.core_functions += 1;
        Some(self.core_functions - 1)
    }

    /// The adapter between E and the capabilities that E does not know, if the component imports any.
    fn adapter(&mut self) -> Result<Option<Adapter>> {
        let imported = self.parts.capabilities;
        if imported.functions().is_empty() {
            return Ok(None);
        }
        let module = capabilities::adapter(imported, image::MEMORY_EXPORT);
        self.out.section(&RawSection { id: wasm_encoder::ComponentSectionId::CoreModule as u8, data: &module });
        let mut functions = Vec::new();
        for (number, function) in imported.functions().iter().enumerate() {
            let lowered = self.lower(function.module, function.name());
            functions.push((number.to_string(), lowered.with_context(|| format!("{} was not encoded", function.id))?));
        }
        let mut instances = InstanceSection::new();
        instances.export_items(functions.iter().map(|(name, index)| (name.as_str(), ExportKind::Func, *index)));
        instances.instantiate(
            at::MODULE_ADAPTER,
            [
                (capabilities::MEMORY_MODULE, ModuleArg::Instance(at::INSTANCE_IMAGE)),
                (capabilities::FUNCTIONS_MODULE, ModuleArg::Instance(at::INSTANCE_IMAGE + 1)),
            ],
        );
        self.out.section(&instances);
        let instance = at::INSTANCE_IMAGE + 2;
        Ok(Some(Adapter { instance, call: self.alias_core(instance, ExportKind::Func, capabilities::CALL_EXPORT) }))
    }
}

/// The adapter of a component.
#[derive(Clone, Copy)]
struct Adapter {
    instance: u32,
    /// Its function that E imports.
    call: u32,
}

/// A canonical option with our memory, allocator and clean-up function in place of the original's.
fn our_option(option: wasmparser::CanonicalOption, post_return: Option<u32>) -> Result<CanonicalOption> {
    Ok(match option {
        wasmparser::CanonicalOption::UTF8 => CanonicalOption::UTF8,
        wasmparser::CanonicalOption::Memory(_) => CanonicalOption::Memory(at::MEMORY),
        wasmparser::CanonicalOption::Realloc(_) => CanonicalOption::Realloc(at::FUNCTION_REALLOC),
        wasmparser::CanonicalOption::PostReturn(_) => {
            CanonicalOption::PostReturn(post_return.context("a clean-up function where there can be none")?)
        }
        other => bail!("a canonical option that the engine does not have: {other:?}"),
    })
}

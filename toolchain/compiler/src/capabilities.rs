//! Capabilities that an embedder adds: the WIT packages that a build is given, and the modules that source imports
//! them by.
//!
//! An interface is the module of its name, `example:geo/places`, with its version or without. Its functions are the
//! module's exports, in camelCase. Values are in JavaScript what jco makes of them:
//! <https://bytecodealliance.github.io/jco/wit-type-representations.html>.

mod adapter;
mod declarations;
mod describe;
mod supported;

pub(crate) use adapter::{CALL_EXPORT, FUNCTIONS_MODULE, MEMORY_MODULE, adapter, core_types};

use crate::api_usage::ApiUsage;
use crate::diagnostic::{BuildError, Details, SourceLocation};
use crate::engine;
use crate::paths::relative;
use heck::ToLowerCamelCase;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use wit_parser::abi::AbiVariant;
use wit_parser::{
    Function, InterfaceId, LiveTypes, PackageId, PackageSourceMap, ParseError, Resolve, ResolveError, ResolveErrorKind,
    Span, TypeOwner, WorldId, WorldItem, WorldKey,
};

/// The module with the engine's natives, as generated modules import it.
pub(crate) const NATIVE_MODULE: &str = "elias:native";

/// The core module by which the engine imports the function that calls capabilities.
pub(crate) const ENGINE_IMPORT: &str = "elias:engine/capabilities";

/// The prefixes of packages that no embedder defines.
const OWN_NAMESPACE: &str = "elias:";

/// The WIT packages of capabilities. Made by [`Capabilities::read`].
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    resolve: Resolve,
    /// The interfaces of the packages that were named, without those that they only depend on, by name.
    interfaces: Vec<(String, InterfaceId)>,
    /// The files that were read.
    files: Vec<PathBuf>,
    /// The folder to which shown paths are relative.
    root: PathBuf,
}

impl Capabilities {
    /// Reads WIT packages: files, or folders of files, whose folder `deps` has what they depend on. Paths are
    /// relative to `root`, or absolute; their order does not matter.
    ///
    /// # Errors
    /// [`BuildError::Io`] if a path cannot be read, [`BuildError::InvalidWit`] with its place if it is not WIT.
    pub fn read(paths: &[PathBuf], root: &Path) -> Result<Self, BuildError> {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let mut capabilities = Self { root, ..Self::default() };
        let mut waiting = BTreeSet::new();
        for path in paths {
            let found = capabilities.root.join(path).canonicalize();
            let shown = path.display();
            waiting.insert(found.map_err(|error| BuildError::io(format_args!("read the WIT of {shown}"), &error))?);
        }
        // A folder and a file in it name one package.
        let folders = waiting.clone();
        waiting.retain(|path| path.parent().is_none_or(|folder| !folders.contains(folder)));
        // A package comes after those that it depends on: whichever lacks one waits for the others.
        while !waiting.is_empty() {
            let mut refused = None;
            let before = waiting.len();
            let mut still_waiting = BTreeSet::new();
            for path in waiting {
                let mut resolve = capabilities.resolve.clone();
                match push(&mut resolve, &path) {
                    Ok((package, sources)) => {
                        capabilities.files.extend(sources.paths().map(Path::to_owned));
                        capabilities.resolve = resolve;
                        capabilities.add(package);
                    }
                    Err(error) => {
                        let waits = error
                            .downcast_ref::<ResolveError>()
                            .is_some_and(|error| matches!(error.kind(), ResolveErrorKind::PackageNotFound { .. }));
                        let error = capabilities.explain(&resolve, &path, &error);
                        if !waits {
                            return Err(error);
                        }
                        refused.get_or_insert(error);
                        still_waiting.insert(path);
                    }
                }
            }
            if let Some(error) = refused.filter(|_| still_waiting.len() == before) {
                return Err(error);
            }
            waiting = still_waiting;
        }
        capabilities.interfaces.sort();
        capabilities.interfaces.dedup();
        capabilities.files.sort();
        capabilities.files.dedup();
        Ok(capabilities)
    }

    /// Takes in the interfaces of a package.
    fn add(&mut self, package: PackageId) {
        let package = &self.resolve.packages[package];
        for id in package.interfaces.values() {
            if let Some(name) = self.resolve.id_of(*id) {
                self.interfaces.push((name, *id));
            }
        }
    }

    /// wit-parser's error as ours.
    fn explain(&self, resolve: &Resolve, path: &Path, error: &anyhow::Error) -> BuildError {
        let shown = relative(path, &self.root);
        let (message, span, help) = if let Some(error) = error.downcast_ref::<ParseError>() {
            (error.to_string(), error.kind().span(), "")
        } else if let Some(error) = error.downcast_ref::<ResolveError>() {
            let help = match error.kind() {
                ResolveErrorKind::PackageNotFound { .. } => {
                    "name that package's file too, or put it into the folder `deps` beside the file and name the folder"
                }
                _ => "",
            };
            // The rest is a list of all packages that there are.
            let message = error.to_string();
            let message = message.split(". known packages").next().unwrap_or_default().to_owned();
            (message, error.kind().span(), help)
        } else {
            let details = Details::new(format!("{shown} has no WIT package: {:#}", error.root_cause()));
            return BuildError::InvalidWit(Box::new(
                details.help("name a file that ends in .wit, or a folder of such files"),
            ));
        };
        let details = Details::new(format!("{shown} cannot be read as WIT: {message}")).help(help);
        BuildError::InvalidWit(Box::new(self.located(resolve, details, span)))
    }

    fn at(&self, details: Details, span: Span) -> Details {
        self.located(&self.resolve, details, span)
    }

    /// Adds the place of a span to an error.
    fn located(&self, resolve: &Resolve, details: Details, span: Span) -> Details {
        let location = if span.is_known() { resolve.render_location(span) } else { String::new() };
        let mut parts = location.rsplitn(3, ':');
        let (column, line, file) = (parts.next(), parts.next(), parts.next());
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
        let (Some(column), Some(line), Some(file)) = (number(column), number(line), file) else { return details };
        let source = std::fs::read_to_string(file).unwrap_or_default();
        details.at(SourceLocation::of_line(relative(Path::new(file), &self.root), source, line, column))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// The files that were read, sorted.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The files' names, relative to the root, and their digests.
    ///
    /// # Errors
    /// [`BuildError::Io`] if one has gone since it was read.
    pub(crate) fn sources(&self) -> Result<Vec<(String, String)>, BuildError> {
        let digest = |file: &PathBuf| {
            let name = relative(file, &self.root);
            let bytes = std::fs::read(file).map_err(|error| BuildError::io(format_args!("read {name}"), &error))?;
            Ok((name, elias_contract::digest(&bytes)))
        };
        self.files.iter().map(digest).collect()
    }

    /// The names of the interfaces, with their versions, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.interfaces.iter().map(|(name, _)| name.as_str())
    }

    /// The whole name of the interface that a specifier means. Without a version it is the newest.
    pub(crate) fn find(&self, specifier: &str) -> Option<&str> {
        let version = |name: &str| name.split_once('@').map(|(_, version)| version.to_owned());
        let newest = |name: &&str| {
            let version = version(name).unwrap_or_default();
            let numbers = version.split(['.', '-', '+']).map(|part| part.parse::<u64>().unwrap_or(0));
            numbers.collect::<Vec<_>>()
        };
        let named = self.names().filter(|name| name.split('@').next() == Some(specifier)).max_by_key(newest);
        self.names().find(|name| *name == specifier).or(named)
    }

    /// The source of an interface's module.
    ///
    /// # Errors
    /// [`BuildError::UnsupportedWit`] with its place for what JavaScript cannot be given.
    pub(crate) fn module(&self, name: &str) -> Result<String, BuildError> {
        self.check_name(name)?;
        let mut source = format!("import native from \"{NATIVE_MODULE}\";\n");
        let mut exports = Vec::new();
        for (number, function) in self.functions(name).enumerate() {
            supported::check(self, function)?;
            let id = function_id(name, &function.name);
            let _ = writeln!(source, "const f{number} = /* @__PURE__ */ native.capabilityFunction(\"{id}\");");
            // A reserved word is not a name of a variable, and may be one of an export.
            exports.push(format!("f{number} as {}", function.name.to_lower_camel_case()));
        }
        let _ = writeln!(source, "export {{ {} }};", exports.join(", "));
        Ok(source)
    }

    /// Refuses an interface that is the engine's: two ways to one import would be one too many.
    fn check_name(&self, name: &str) -> Result<(), BuildError> {
        let interface = name.split('@').next().unwrap_or_default();
        let is_engines = |module: &str| module.split('@').next() == Some(interface);
        if !interface.starts_with(OWN_NAMESPACE) && !engine::IMPORTS.iter().any(|import| is_engines(&import.module)) {
            return Ok(());
        }
        let found = self.interfaces.iter().find(|(known, _)| known == name);
        let span = found.map_or_else(Span::default, |(_, id)| self.resolve.interfaces[*id].span);
        let details = Details::new(format!("the interface `{name}` is part of ELIAS"));
        let details = details.help("use the web API, or the module such as `elias/db`, that stands for it");
        Err(BuildError::UnsupportedWit(Box::new(self.at(details, span))))
    }

    /// The functions of an interface.
    fn functions(&self, name: &str) -> impl Iterator<Item = &Function> {
        let ids = self.interfaces.iter().filter(move |(known, _)| known == name).map(|(_, id)| *id);
        ids.flat_map(|id| self.resolve.interfaces[id].functions.values())
    }

    /// The functions whose names are left in a bundle, and so are imported.
    pub(crate) fn imported(&self, uses: &ApiUsage) -> ImportedFunctions<'_> {
        let mut functions = Vec::new();
        for (name, id) in &self.interfaces {
            for function in self.resolve.interfaces[*id].functions.values() {
                let identity = function_id(name, &function.name);
                if uses.mentions(&identity) && supported::check(self, function).is_ok() {
                    functions.push(ImportedFunction { id: identity, interface: *id, module: name, function });
                }
            }
        }
        ImportedFunctions { resolve: &self.resolve, functions }
    }
}

/// `PACKAGE/INTERFACE@VERSION#FUNCTION`.
fn function_id(interface: &str, function: &str) -> String {
    format!("{interface}#{function}")
}

/// The functions of capabilities that a component imports, in order: their numbers are their places.
pub(crate) struct ImportedFunctions<'a> {
    resolve: &'a Resolve,
    functions: Vec<ImportedFunction<'a>>,
}

/// One of them.
pub(crate) struct ImportedFunction<'a> {
    /// As it stands in the bundle, and in errors.
    pub(crate) id: String,
    interface: InterfaceId,
    /// The interface's name, with its version.
    pub(crate) module: &'a str,
    function: &'a Function,
}

impl ImportedFunction<'_> {
    /// Its name in WIT.
    pub(crate) fn name(&self) -> &str {
        &self.function.name
    }
}

impl ImportedFunctions<'_> {
    /// The functions, by their numbers.
    pub(crate) fn functions(&self) -> &[ImportedFunction<'_>] {
        &self.functions
    }

    /// The types of a function once it is lowered.
    pub(crate) fn signature(&self, function: &ImportedFunction<'_>) -> wit_parser::abi::WasmSignature {
        self.resolve.wasm_signature(AbiVariant::GuestImport, function.function)
    }

    /// The text by which the engine knows the functions; empty if there are none.
    pub(crate) fn describe(&self) -> String {
        describe::describe(self)
    }

    /// The names of the interfaces that the component imports for them, sorted, with those that only give types.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let mut types = LiveTypes::default();
        self.functions.iter().for_each(|function| types.add_func(self.resolve, function.function));
        let of_types = types.iter().filter_map(|ty| match self.resolve.types[ty].owner {
            TypeOwner::Interface(id) => Some(id),
            _ => None,
        });
        let needed = self.functions.iter().map(|function| function.interface).chain(of_types);
        let names: BTreeSet<String> = needed.filter_map(|id| self.resolve.id_of(id)).collect();
        names.into_iter().collect()
    }

    /// Adds the interfaces to the imports of a world.
    ///
    /// # Errors
    /// If a package that the world has is another one of the same name.
    pub(crate) fn add_to(&self, resolve: &mut Resolve, world: WorldId) -> anyhow::Result<()> {
        if self.functions.is_empty() {
            return Ok(());
        }
        let remap = resolve.merge(self.resolve.clone())?;
        let mut needed = Vec::new();
        for function in &self.functions {
            add_needed(resolve, remap.map_interface(function.interface, Span::default())?, &mut needed);
        }
        for id in needed {
            let item = WorldItem::Interface {
                id,
                stability: wit_parser::Stability::Unknown,
                external_id: None,
                docs: wit_parser::Docs::default(),
                span: Span::default(),
            };
            resolve.worlds[world].imports.entry(WorldKey::Interface(id)).or_insert(item);
        }
        Ok(())
    }
}

/// Adds a package, and those in its folder `deps`. Packages that are there already are merged with it: wit-parser's own
/// way to add a second one of a name is a panic.
fn push(resolve: &mut Resolve, path: &Path) -> anyhow::Result<(PackageId, PackageSourceMap)> {
    let mut own = Resolve::default();
    match own.push_path(path) {
        Ok((package, sources)) => {
            let remap = resolve.merge(own)?;
            Ok((remap.packages[package.index()], sources))
        }
        // A package that it lacks may be among those that were added before.
        Err(_) => resolve.push_path(path),
    }
}

/// Appends an interface behind those that it has types of.
fn add_needed(resolve: &Resolve, id: InterfaceId, needed: &mut Vec<InterfaceId>) {
    if needed.contains(&id) {
        return;
    }
    for other in resolve.interface_direct_deps(id) {
        add_needed(resolve, other, needed);
    }
    if !needed.contains(&id) {
        needed.push(id);
    }
}

#[cfg(test)]
mod tests;

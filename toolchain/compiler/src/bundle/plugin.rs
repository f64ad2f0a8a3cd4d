//! The plugin for rolldown, which decides while modules are read: which files may be read, how, and what is made of
//! them.

use super::boundary::{Boundary, not_its_own, refusal};
use super::package_json::SideEffects;
use super::{
    MAX_NESTING, MAX_SOURCE_BYTES, SDK, adapters, assets, capability, file_of, native, node, optional, preserve,
    resolve_help, too_large,
};
use crate::capabilities::Capabilities;
use crate::diagnostic::{BuildError, BuildWarning, Details, SourceLocation};
use crate::paths::relative;
use crate::web;
use parking_lot::Mutex;
use rolldown::plugin::{
    HookLoadArgs, HookLoadOutput, HookLoadReturn, HookResolveIdArgs, HookResolveIdOutput, HookResolveIdReturn,
    HookTransformArgs, HookTransformAstArgs, HookTransformAstReturn, HookTransformOutput, HookTransformOutputMap,
    HookTransformReturn, HookUsage, Plugin, PluginContext, PluginContextResolveOptions, SharedLoadPluginContext,
    SharedTransformPluginContext,
};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ImportKind, ModuleType, RUNTIME_MODULE_KEY, ResolvedExternal};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sees every source before it is parsed: notes it, and refuses what the parser could not survive and what must not be
/// read. Gives the module [`SDK`], and files that are imported as text or bytes.
#[derive(Debug)]
pub(super) struct Recorder {
    boundary: Arc<Boundary>,
    capabilities: Arc<Capabilities>,
    /// The files that were read, and their SHA-256.
    pub(super) read: Mutex<Vec<(PathBuf, String)>>,
    /// Why the build cannot go on.
    pub(super) refused: Mutex<Option<BuildError>>,
    warnings: Mutex<Vec<BuildWarning>>,
    /// The requests for modules: importer, specifier and kind.
    asked: Mutex<Vec<(String, String, ImportKind)>>,
    effects: SideEffects,
    waiting: AtomicUsize,
}

impl Recorder {
    pub(super) fn new(boundary: Arc<Boundary>, capabilities: Arc<Capabilities>) -> Self {
        Self {
            boundary,
            capabilities,
            read: Mutex::default(),
            refused: Mutex::default(),
            warnings: Mutex::default(),
            asked: Mutex::default(),
            effects: SideEffects::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// How many modules wait at their top level.
    pub(super) fn waiting_modules(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The packages that modules of the project import by a statement and that are not installed, and who imports them.
    pub(super) fn not_installed(&self) -> Vec<(PathBuf, String)> {
        let asked = lock(&self.asked);
        let by_statement = asked.iter().filter(|(_, _, kind)| *kind == ImportKind::Import);
        let absent = by_statement.filter(|(importer, specifier, _)| {
            !is_installed(importer)
                && !is_given(specifier)
                && resolve_help::is_absent_package(specifier, Path::new(importer))
        });
        absent.map(|(importer, specifier, _)| (file_of(importer), specifier.clone())).collect()
    }

    pub(super) fn take_warnings(&self) -> Vec<BuildWarning> {
        std::mem::take(&mut lock(&self.warnings))
    }

    fn refuse(&self, error: BuildError) -> anyhow::Error {
        let message = error.to_string();
        lock(&self.refused).get_or_insert(error);
        anyhow::Error::msg(message)
    }

    /// Refuses a file that must not be read, and says who asked for it.
    async fn refuse_outside(&self, context: &PluginContext, id: &str) -> anyhow::Error {
        let cwd = context.cwd().to_owned();
        let file = file_of(id);
        let asked = lock(&self.asked).clone();
        let mut location = None;
        let mut of_package = false;
        for (importer, specifier, kind) in asked {
            let options = PluginContextResolveOptions { import_kind: kind, ..PluginContextResolveOptions::default() };
            let bare = assets::Form::split(&specifier).map_or(specifier.as_str(), |(path, _)| path);
            let Ok(Ok(found)) = context.resolve(bare, Some(&importer), Some(options)).await else { continue };
            if file_of(found.id.as_str()) != file {
                continue;
            }
            let importer = file_of(&importer);
            of_package = is_installed(&importer.to_string_lossy());
            let name = relative(&importer, &cwd);
            let source = std::fs::read_to_string(&importer).unwrap_or_default();
            let offset = ['"', '\'', '`'].iter().find_map(|quote| source.find(&format!("{quote}{specifier}")));
            location = Some(
                SourceLocation::new(name, source, offset.unwrap_or(0), specifier.len() + 2).labelled("imported here"),
            );
            break;
        }
        let shown = relative(&file, &cwd);
        let folder = relative(file.parent().unwrap_or(&file), &cwd);
        let mut details =
            if self.boundary.contains(&file) { not_its_own(&shown) } else { refusal(&shown, &folder, of_package) };
        details.location = location;
        self.refuse(BuildError::OutsideProject(Box::new(details)))
    }

    /// Where an import of a file as text or bytes leads.
    async fn resolve_asset(
        &self,
        context: &PluginContext,
        args: &HookResolveIdArgs<'_>,
    ) -> anyhow::Result<Option<HookResolveIdOutput>> {
        let Some((path, form)) = assets::Form::split(args.specifier) else { return Ok(None) };
        let options = PluginContextResolveOptions { import_kind: args.kind, ..PluginContextResolveOptions::default() };
        let Ok(Ok(found)) = context.resolve(path, args.importer, Some(options)).await else { return Ok(None) };
        let id = format!("{}{}", found.id.as_str(), form.query());
        // A package carries its own files, and not those of whoever uses it.
        if let Some(importer) = args.importer.filter(|importer| is_installed(importer))
            && package_of(Path::new(importer)).is_none_or(|package| !Path::new(found.id.as_str()).starts_with(package))
        {
            return Err(self.refuse_outside(context, &id).await);
        }
        Ok(Some(HookResolveIdOutput { id: id.as_str().into(), ..HookResolveIdOutput::default() }))
    }
}

impl Plugin for Recorder {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("elias:recorder")
    }

    fn register_hook_usage(&self) -> HookUsage {
        HookUsage::ResolveId | HookUsage::Load | HookUsage::Transform | HookUsage::TransformAst
    }

    async fn resolve_id(&self, context: &PluginContext, args: &HookResolveIdArgs<'_>) -> HookResolveIdReturn {
        if let Some(importer) = args.importer.filter(|importer| Path::new(importer).is_absolute()) {
            lock(&self.asked).push((importer.to_owned(), args.specifier.to_owned(), args.kind));
        }
        if let Some(resolved) = capability::resolve(&self.capabilities, args) {
            return Ok(Some(resolved));
        }
        if let Some(error) = capability::absent(&self.capabilities, args, context.cwd()) {
            return Err(self.refuse(error));
        }
        if let Some(resolved) = adapters::resolve(context, args).await {
            return Ok(Some(resolved));
        }
        if let Some(resolved) = node::resolve(context, args).await {
            return Ok(Some(resolved));
        }
        if let Some(resolved) = optional::resolve(context, args).await {
            return Ok(Some(resolved));
        }
        if let Some(resolved) = self.resolve_asset(context, args).await? {
            return Ok(Some(resolved));
        }
        let own = own_name(args.specifier);
        let external = is_importable(own);
        let specifier = if external { own } else { args.specifier };
        Ok((external || specifier == SDK).then(|| HookResolveIdOutput {
            id: specifier.into(),
            external: external.then_some(ResolvedExternal::Bool(true)),
            side_effects: Some(HookSideEffects::False),
            ..HookResolveIdOutput::default()
        }))
    }

    async fn load(&self, context: SharedLoadPluginContext, args: &HookLoadArgs<'_>) -> HookLoadReturn {
        if let Some(loaded) =
            node::load(args.id).or_else(|| optional::load(args.id)).or_else(|| adapters::load(args.id))
        {
            return Ok(Some(loaded));
        }
        if let Some(loaded) = capability::load(&self.capabilities, args.id) {
            return loaded.map(Some).map_err(|error| self.refuse(error));
        }
        if args.id == SDK {
            return Ok(Some(HookLoadOutput {
                code: web::sdk_module().into(),
                module_type: Some(ModuleType::Js),
                side_effects: Some(HookSideEffects::False),
                ..HookLoadOutput::default()
            }));
        }
        let path = file_of(args.id);
        if !path.is_absolute() {
            return Ok(None);
        }
        if !self.boundary.contains(&path) {
            return Err(self.refuse_outside(&context, args.id).await);
        }
        if native::is_addon(&path) {
            let name = relative(&path, context.cwd());
            lock(&self.warnings).push(native::warning(&name));
            return Ok(Some(native::stub(&name)));
        }
        let Some((path, form)) = assets::of_id(args.id) else { return Ok(None) };
        let name = relative(path, context.cwd());
        let bytes = std::fs::read(path)?;
        if bytes.len() > MAX_SOURCE_BYTES {
            return Err(self.refuse(too_large(&name, bytes.len())));
        }
        let module = assets::module(&name, &bytes, form).map_err(|error| self.refuse(error))?;
        lock(&self.read).push((path.to_owned(), elias_contract::digest(&bytes)));
        context.add_watch_file(&path.to_string_lossy());
        Ok(Some(module))
    }

    async fn transform(
        &self,
        context: SharedTransformPluginContext,
        module: &HookTransformArgs<'_>,
    ) -> HookTransformReturn {
        if module.id == RUNTIME_MODULE_KEY {
            // The namespace of a module has no prototype (ECMA-262 10.4.6).
            let code = module.code.replace("let target = {};", "let target = { __proto__: null };");
            return Ok(Some(HookTransformOutput { code: Some(code), ..HookTransformOutput::default() }));
        }
        let path = file_of(module.id);
        if !path.is_absolute() {
            return Ok(None); // the bundler's own helpers, and ours
        }
        let effects = self.effects.of(&path).map_or(HookSideEffects::True, |effects| {
            if effects { HookSideEffects::True } else { HookSideEffects::False }
        });
        let mut output = HookTransformOutput { side_effects: Some(effects), ..HookTransformOutput::default() };
        if assets::of_id(module.id).is_some() || native::is_addon(&path) {
            return Ok(Some(output)); // noted when it was loaded
        }
        check_source(&relative(&path, context.cwd()), module.code).map_err(|error| self.refuse(error))?;
        let digest = elias_contract::digest(module.code.as_bytes());
        lock(&self.read).push((path, digest));
        if *module.module_type == ModuleType::Json {
            // JavaScript takes a byte order mark for white space; JSON does not.
            let text = module.code.strip_prefix('\u{feff}').unwrap_or(module.code);
            // Data has no lines that a stack could name.
            output.map = HookTransformOutputMap::Null;
            if let Some(code) = assets::json_with_lone_surrogate(text) {
                output.code = Some(code);
                output.module_type = Some(ModuleType::Js);
            } else if text.len() != module.code.len() {
                output.code = Some(text.to_owned());
            }
        }
        Ok(Some(output))
    }

    async fn transform_ast(&self, _: &PluginContext, mut args: HookTransformAstArgs<'_>) -> HookTransformAstReturn {
        let path = file_of(args.id);
        let is_code = !matches!(args.module_type, ModuleType::Json | ModuleType::Text);
        if is_code && path.is_absolute() {
            let name = relative(&path, args.cwd);
            let traits =
                args.ast.program.with_mut(|fields| preserve::preserve(fields.program, fields.allocator, &name));
            self.waiting.fetch_add(usize::from(traits.awaits), Ordering::Relaxed);
        }
        Ok(args.ast)
    }
}

fn check_source(file: &str, code: &str) -> Result<(), BuildError> {
    if code.len() > MAX_SOURCE_BYTES {
        return Err(too_large(file, code.len()));
    }
    let mut depth = 0_usize;
    for byte in code.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(BuildError::TooLarge(Box::new(
                Details::new(format!("{file} nests brackets more than {MAX_NESTING} deep"))
                    .help("Load such data as JSON text at run time."),
            )));
        }
    }
    Ok(())
}

fn is_importable(specifier: &str) -> bool {
    web::importable().any(|name| name == specifier)
}

/// The name of one of our modules, which also have the scope under which the package was first announced.
fn own_name(specifier: &str) -> &str {
    specifier.strip_prefix('@').filter(|name| name.starts_with(web::IMPORTABLE_PREFIX)).unwrap_or(specifier)
}

/// Whether a module comes with the toolchain.
fn is_given(specifier: &str) -> bool {
    let name = own_name(specifier);
    name == SDK || is_importable(name) || adapters::is_adapter(name) || web::node_module(name)
}

pub(super) fn is_installed(path: &str) -> bool {
    path.contains("/node_modules/")
}

/// The folder of the package that a file was installed with.
fn package_of(file: &Path) -> Option<PathBuf> {
    crate::sbom::folder_of(file)
}

fn lock<T>(value: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    value.lock()
}

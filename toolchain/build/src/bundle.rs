//! From an entry file to one ES module, with rolldown.
//!
//! The output is a function of the project's files alone: every path in it is relative to the project.

mod failure;
mod node;
mod optional;
mod resolve_help;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rolldown::plugin::{
    HookLoadArgs, HookLoadOutput, HookLoadReturn, HookResolveIdArgs, HookResolveIdOutput, HookResolveIdReturn,
    HookTransformArgs, HookTransformOutput, HookTransformReturn, HookUsage, Plugin, PluginContext,
    SharedLoadPluginContext, SharedTransformPluginContext,
};
use rolldown::{
    Bundler, BundlerOptions, BundlerTransformOptions, CodeSplittingMode, CommentsOptions, Either, ExperimentalOptions,
    InputItem, OutputFormat, Platform, RawMinifyOptions, ResolveOptions, SourceMapType,
};
use rolldown_common::side_effects::HookSideEffects;
use rolldown_common::{ModuleType, Output, OutputChunk, ResolvedExternal};
use rolldown_error::{BatchedBuildDiagnostic, EventKind};

use crate::diagnostic::{BuildError, BuildWarning, Details};
use crate::web;

/// The module that gives all capabilities by name. What of it is not used is shaken away.
const SDK: &str = "elias";
/// Export conditions that a package may use to say which of its files suits us, beside the standard ones.
/// (`import` or `require`, by how it is asked for, and `default`).
const CONDITIONS: [&str; 4] = ["elias", "workerd", "worker", "browser"];
/// The most bytes of one source file and of the bundle.
const MAX_SOURCE_BYTES: usize = 32 << 20;
/// How deep brackets may nest in a source file. The parser recurses, and a machine-made file must not exhaust its stack.
const MAX_NESTING: usize = 10_000;
/// Stack of the threads that parse and print, for [`MAX_NESTING`]. It is reserved, and used only when needed.
const STACK_BYTES: usize = 256 << 20;

/// What to bundle.
#[derive(Debug, Clone)]
pub struct BundleOptions {
    /// The entry module, relative to `cwd` or absolute.
    pub entry: PathBuf,
    /// The project's root: the paths of sources are given relative to it.
    pub cwd: PathBuf,
    /// Whether to shorten names and drop white space.
    pub minify: bool,
}

/// One ES module made from an entry file and all that it imports.
#[derive(Debug)]
pub struct Bundle {
    /// The module.
    pub code: String,
    /// Its source map, version 3, as JSON, with the sources' text.
    pub map: String,
    /// Every source file that was read, tree-shaken or not: path relative to the project and SHA-256, sorted by path.
    pub sources: Vec<(String, String)>,
    /// The files of which something is in the bundle, sorted.
    pub bundled: Vec<PathBuf>,
    /// The files whose change makes the bundle stale, sorted: the sources and the `tsconfig.json` files they obey.
    pub modules: Vec<PathBuf>,
    /// Whether the entry module has a default export.
    pub has_default_export: bool,
    /// The names that the entry module exports, sorted.
    pub exports: Vec<String>,
    /// What the bundler found doubtful in the project's own files.
    pub warnings: Vec<BuildWarning>,
}

/// Bundles the project. Syntax errors, unresolved imports and unreadable files come back as [`BuildError`].
pub async fn bundle(options: &BundleOptions) -> Result<Bundle, BuildError> {
    let cwd = options
        .cwd
        .canonicalize()
        .map_err(|error| BuildError::io(format_args!("open the project {}", options.cwd.display()), &error))?;
    let entry = find_entry(&options.entry, &cwd)?;
    let minify = options.minify;
    // The work happens on threads of its own, for their stacks; a panic in the bundler ends its task and no more.
    match workers()?.spawn(run(entry, cwd, minify)).await {
        Ok(result) => result,
        Err(error) => Err(BuildError::Engine(Box::new(
            Details::new(format!("the bundler failed: {error}"))
                .help("This is a defect of the bundler. Please report it with the source that caused it."),
        ))),
    }
}

fn workers() -> Result<&'static tokio::runtime::Runtime, BuildError> {
    static WORKERS: LazyLock<std::io::Result<tokio::runtime::Runtime>> = LazyLock::new(|| {
        // Fails if the program set up its pool already; then that one serves.
        let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build_global();
        tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).thread_name("bundle").build()
    });
    WORKERS.as_ref().map_err(|error| BuildError::io("start the bundler's threads", error))
}

/// The entry's real path, if it is a file.
fn find_entry(entry: &Path, cwd: &Path) -> Result<PathBuf, BuildError> {
    let path = cwd.join(entry);
    let failed = |message: String, help: Option<String>| {
        Err(BuildError::EntryNotFound(Box::new(Details::new(message).help(help.unwrap_or_default()))))
    };
    let shown = entry.display();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            failed(format!("the entry {shown} is a directory"), resolve_help::entry_inside(&path, entry))
        }
        Ok(metadata) if !metadata.is_file() => failed(format!("the entry {shown} is no regular file"), None),
        Ok(_) => path.canonicalize().map_err(|error| BuildError::io(format_args!("read the entry {shown}"), &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            failed(format!("the entry {shown} does not exist"), resolve_help::similar_file(&path, entry))
        }
        Err(error) => Err(BuildError::io(format_args!("read the entry {shown}"), &error)),
    }
}

async fn run(entry: PathBuf, cwd: PathBuf, minify: bool) -> Result<Bundle, BuildError> {
    let entry = entry.to_str().ok_or_else(|| {
        BuildError::EntryNotFound(Box::new(
            Details::new(format!("the path of the entry {} is not UTF-8", entry.display()))
                .help("Rename the file or its directories."),
        ))
    })?;
    let recorder = Arc::new(Recorder::default());
    let fail = |errors: BatchedBuildDiagnostic| match take(&recorder.refused) {
        Some(error) => error,
        None => failure::from_rolldown(errors.into_vec(), &cwd),
    };
    let mut bundler =
        Bundler::with_plugins(rolldown_options(entry, &cwd, minify), vec![recorder.clone()]).map_err(fail)?;
    let output = bundler.generate().await.map_err(fail)?;
    let chunk = entry_chunk(&output.assets)?;
    if chunk.code.len() > MAX_SOURCE_BYTES {
        return Err(too_large("the bundle", chunk.code.len()));
    }

    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    for diagnostic in output.warnings {
        // An import that rolldown would leave to the runtime cannot be served by ours. What was shaken away may go.
        if matches!(diagnostic.kind(), EventKind::UnresolvedImport) {
            let importer = diagnostic.id().unwrap_or_default();
            if chunk.module_ids.iter().any(|id| id.as_str() == importer) {
                errors.push(diagnostic);
            }
        } else {
            warnings.extend(failure::warning_from_rolldown(&diagnostic, &cwd));
        }
    }
    if !errors.is_empty() {
        return Err(failure::from_rolldown(errors, &cwd));
    }
    let mut read = take(&recorder.read);
    // URLs, which rolldown leaves in place without a word. A dynamic import from within counts as one of the bundle itself.
    let mut imports = chunk.imports.iter().chain(&chunk.dynamic_imports);
    let ours = |name: &str| {
        web::importable().any(|importable| importable == name)
            || name.strip_prefix("node:").is_some_and(web::node_module)
    };
    if let Some(specifier) = imports.find(|name| **name != chunk.filename && !ours(name)) {
        return Err(failure::left_over(specifier, read.iter().map(|(path, _)| path.as_path()), &cwd));
    }
    read.sort_unstable();
    let mut modules: Vec<PathBuf> = read.iter().map(|(path, _)| path.clone()).collect();
    modules.extend(bundler.watch_files().iter().map(|file| PathBuf::from(file.as_str())));
    modules.retain(|path| path.is_absolute());
    modules.sort_unstable();
    modules.dedup();
    let mut sources: Vec<_> = read.into_iter().map(|(path, digest)| (relative(&path, &cwd), digest)).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut bundled: Vec<PathBuf> = chunk.module_ids.iter().map(|id| PathBuf::from(id.as_str())).collect();
    bundled.retain(|path| path.is_absolute());
    bundled.sort_unstable();
    let mut exports: Vec<String> = chunk.exports.iter().map(ToString::to_string).collect();
    exports.sort_unstable();
    Ok(Bundle {
        code: chunk.code.clone(),
        map: chunk.map.as_ref().map(oxc_sourcemap::SourceMap::to_json_string).unwrap_or_default(),
        sources,
        bundled,
        modules,
        has_default_export: exports.iter().any(|name| name == "default"),
        exports,
        warnings,
    })
}

fn rolldown_options(entry: &str, cwd: &Path, minify: bool) -> BundlerOptions {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    BundlerOptions {
        input: Some(vec![InputItem { name: Some("app".to_owned()), import: entry.to_owned() }]),
        cwd: Some(cwd.to_owned()),
        platform: Some(Platform::Browser),
        format: Some(OutputFormat::Esm),
        // Sources in the map are relative to the directory of the output: make that the project.
        dir: Some(".".to_owned()),
        entry_filenames: Some("app.js".to_owned().into()),
        code_splitting: Some(CodeSplittingMode::Bool(false)),
        sourcemap: Some(SourceMapType::Hidden),
        // Comments would name files and serve nobody: the code goes straight into the engine.
        comments: Some(CommentsOptions { legal: false, annotation: false, jsdoc: false }),
        experimental: Some(ExperimentalOptions {
            attach_debug_info: Some(rolldown::AttachDebugInfo::None),
            ..ExperimentalOptions::default()
        }),
        minify: Some(RawMinifyOptions::Bool(minify)),
        resolve: Some(ResolveOptions {
            condition_names: names(&CONDITIONS),
            main_fields: names(&["browser", "module", "main"]),
            ..ResolveOptions::default()
        }),
        define: Some(
            [("process.env.NODE_ENV", "\"production\""), ("global", "globalThis")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
        ),
        transform: Some(BundlerTransformOptions {
            target: Some(Either::Left("es2023".to_owned())),
            ..BundlerTransformOptions::default()
        }),
        ..BundlerOptions::default()
    }
}

fn entry_chunk(assets: &[Output]) -> Result<&OutputChunk, BuildError> {
    let chunks = assets.iter().filter_map(|asset| match asset {
        Output::Chunk(chunk) => Some(chunk.as_ref()),
        Output::Asset(_) => None,
    });
    match chunks.collect::<Vec<_>>()[..] {
        [chunk] => Ok(chunk),
        // Seen with rolldown 1.2.5 where a module with a direct `eval` imports what nothing uses.
        _ => Err(BuildError::Bundle(Box::new(
            Details::new("the bundler could not put everything into one module")
                .help("A file that calls `eval` has an import that nothing uses. Remove that import or the `eval`."),
        ))),
    }
}

/// `path` as seen from the project, with forward slashes. What lies outside begins with `../`.
fn relative(path: &Path, cwd: &Path) -> String {
    let shared = path.components().zip(cwd.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".into(), cwd.components().count() - shared);
    let down = path.components().skip(shared).map(|component| component.as_os_str().to_string_lossy());
    up.chain(down).collect::<Vec<Cow<'_, str>>>().join("/")
}

fn too_large(what: &str, bytes: usize) -> BuildError {
    BuildError::TooLarge(Box::new(
        Details::new(format!("{what} has {bytes} bytes, the limit is {MAX_SOURCE_BYTES}"))
            .help("Load large data at run time instead of importing it."),
    ))
}

fn take<T: Default>(value: &Mutex<T>) -> T {
    std::mem::take(&mut value.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sees every source before it is parsed: notes it, and refuses what the parser could not survive. Gives the module
/// [`SDK`].
#[derive(Debug, Default)]
struct Recorder {
    read: Mutex<Vec<(PathBuf, String)>>,
    refused: Mutex<Option<BuildError>>,
}

impl Plugin for Recorder {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("elias:recorder")
    }

    fn register_hook_usage(&self) -> HookUsage {
        HookUsage::ResolveId | HookUsage::Load | HookUsage::Transform
    }

    async fn resolve_id(&self, context: &PluginContext, args: &HookResolveIdArgs<'_>) -> HookResolveIdReturn {
        if let Some(resolved) = node::resolve(context, args).await {
            return Ok(Some(resolved));
        }
        if let Some(resolved) = optional::resolve(context, args).await {
            return Ok(Some(resolved));
        }
        let external = web::importable().any(|name| name == args.specifier);
        Ok((external || args.specifier == SDK).then(|| HookResolveIdOutput {
            id: args.specifier.into(),
            external: external.then_some(ResolvedExternal::Bool(true)),
            side_effects: Some(HookSideEffects::False),
            ..HookResolveIdOutput::default()
        }))
    }

    async fn load(&self, _: SharedLoadPluginContext, args: &HookLoadArgs<'_>) -> HookLoadReturn {
        if let Some(loaded) = node::load(args.id).or_else(|| optional::load(args.id)) {
            return Ok(Some(loaded));
        }
        Ok((args.id == SDK).then(|| HookLoadOutput {
            code: web::sdk_module().into(),
            module_type: Some(ModuleType::Js),
            side_effects: Some(HookSideEffects::False),
            ..HookLoadOutput::default()
        }))
    }

    async fn transform(
        &self,
        context: SharedTransformPluginContext,
        module: &HookTransformArgs<'_>,
    ) -> HookTransformReturn {
        let path = Path::new(module.id);
        if !path.is_absolute() {
            return Ok(None); // the bundler's own helpers
        }
        if let Err(error) = check_source(&relative(path, context.cwd()), module.code) {
            let message = error.to_string();
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return Err(anyhow::Error::msg(message));
        }
        let digest = elias_contract::digest(module.code.as_bytes());
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), digest));
        // JavaScript takes a byte order mark for white space; JSON does not.
        Ok(match module.code.strip_prefix('\u{feff}') {
            Some(code) if *module.module_type == ModuleType::Json => {
                Some(HookTransformOutput { code: Some(code.to_owned()), ..HookTransformOutput::default() })
            }
            _ => None,
        })
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

#[cfg(test)]
mod tests;

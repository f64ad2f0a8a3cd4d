//! From an entry file to one ES module, with rolldown.
//!
//! The output is a function of the project's files: every path in it is relative to the project. The name of the
//! project's folder is in it only where a module is an `index.js` or `mod.js` in the root, which rolldown names after
//! the folder.

mod adapters;
mod assets;
mod boundary;
mod capability;
mod failure;
mod native;
mod node;
mod optional;
mod order;
mod package_json;
mod plugin;
mod preserve;
mod resolve_help;

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rolldown::plugin::__inner::SharedPluginable;
use rolldown::{
    AddonOutputOption, BundleFactory, BundleFactoryOptions, BundlerOptions, BundlerTransformOptions, CodeSplittingMode,
    CommentsOptions, Either, ExperimentalOptions, InlineConstOption, InnerOptions, InputItem, OptimizationOption,
    OutputFormat, Platform, RawMangleOptions, RawMinifyOptions, RawMinifyOptionsDetailed, ResolveOptions,
    SourceMapType, TreeshakeOptions,
};
use rolldown_common::{BundleMode, Output, OutputChunk};
use rolldown_error::{BatchedBuildDiagnostic, EventKind};

use crate::capabilities::{self, Capabilities};
use crate::diagnostic::{BuildError, BuildWarning, Details};
use crate::paths::relative;
use crate::web;
use boundary::Boundary;
use plugin::Recorder;

/// The module that gives all capabilities by name. What of it is not used is shaken away.
const SDK: &str = "elias";
/// The value of `process.env.NODE_ENV`.
const NODE_ENV: &str = "production";
/// Export conditions that a package may use to say which of its files suits us, beside the standard ones.
/// (`import` or `require`, by how it is asked for, and `default`).
const CONDITIONS: [&str; 4] = ["elias", "workerd", "worker", "browser"];
/// The most bytes of one source file and of the bundle.
const MAX_SOURCE_BYTES: usize = 32 << 20;
/// How deep brackets may nest in a source file. The parser recurses, and a machine-made file must not exhaust its
/// stack.
const MAX_NESTING: usize = 10_000;
/// Stack of the threads that parse and print, for [`MAX_NESTING`]. It is reserved, and used only when needed.
const STACK_BYTES: usize = 256 << 20;

/// The input of the bundler.
#[derive(Debug, Clone, Default)]
pub struct BundleOptions {
    /// The entry module, relative to `cwd` or absolute.
    pub entry: PathBuf,
    /// The project's root: the paths of sources are given relative to it.
    pub cwd: PathBuf,
    /// Whether to shorten names and drop white space.
    pub minify: bool,
    /// Folders outside of the project whose files may be bundled, relative to it or absolute.
    pub roots: Vec<PathBuf>,
    /// Capabilities that an embedder adds, whose interfaces can be imported.
    pub capabilities: Arc<Capabilities>,
    /// The variables that `process.env` has from the build, by name.
    pub env: BTreeMap<String, String>,
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
    /// Those of the sources that lie outside of the project and of what is installed, where `roots` let them in.
    pub outside: Vec<String>,
    /// The files of which something is in the bundle, sorted.
    pub bundled: Vec<PathBuf>,
    /// The files whose change makes the bundle stale, sorted: the sources and the `tsconfig.json` files they obey.
    pub modules: Vec<PathBuf>,
    /// Whether the entry module has a default export.
    pub has_default_export: bool,
    /// The names that the entry module exports, sorted.
    pub exports: Vec<String>,
    /// The bundler's warnings about the project's own files.
    pub warnings: Vec<BuildWarning>,
}

/// Bundles the project. Syntax errors, unresolved imports and unreadable files come back as [`BuildError`].
pub async fn bundle(options: &BundleOptions) -> Result<Bundle, BuildError> {
    let cwd = options
        .cwd
        .canonicalize()
        .map_err(|error| BuildError::io(format_args!("open the project {}", options.cwd.display()), &error))?;
    let boundary = Boundary::new(&cwd, &options.roots)?;
    let entry = find_entry(&options.entry, &cwd)?;
    let options = BundleOptions { entry, cwd, ..options.clone() };
    // The work happens on threads of its own, for their stacks; a panic in the bundler ends its task and no more.
    match workers()?.spawn(run(options, boundary)).await {
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
        Ok(metadata) if !metadata.is_file() => failed(format!("the entry {shown} is not a regular file"), None),
        Ok(_) => path.canonicalize().map_err(|error| BuildError::io(format_args!("read the entry {shown}"), &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            failed(format!("the entry {shown} does not exist"), resolve_help::similar_file(&path, entry))
        }
        Err(error) => Err(BuildError::io(format_args!("read the entry {shown}"), &error)),
    }
}

async fn run(options: BundleOptions, boundary: Boundary) -> Result<Bundle, BuildError> {
    let entry = options.entry.to_str().ok_or_else(|| {
        BuildError::EntryNotFound(Box::new(
            Details::new(format!("the path of the entry {} is not UTF-8", options.entry.display()))
                .help("Rename the file or its directories."),
        ))
    })?;
    let cwd = options.cwd.as_path();
    let boundary = Arc::new(boundary);
    let mut pass = Pass::run(entry, &options, &boundary, false).await?;
    if pass.recorder.waiting_modules() > 1 {
        // They have to wait together, and so each must be a function.
        pass = Pass::run(entry, &options, &boundary, true).await?;
    }
    let Pass { recorder, output, watched } = pass;
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
            warnings.extend(failure::warning_from_rolldown(&diagnostic, cwd));
        }
    }
    if !errors.is_empty() {
        return Err(failure::from_rolldown(errors, &[], cwd, &boundary));
    }
    warnings.extend(recorder.take_warnings());
    warnings.extend(native::warnings(&chunk.module_ids.iter().map(|id| file_of(id.as_str())).collect::<Vec<_>>()));
    let mut read = take(&recorder.read);
    // URLs, which rolldown leaves in place without a word. A dynamic import from within counts as one of the bundle
    // itself.
    let imports = chunk.imports.iter().chain(&chunk.dynamic_imports);
    let ours = |name: &str| {
        web::importable().any(|importable| importable == name)
            || (name == capabilities::NATIVE_MODULE && !options.capabilities.is_empty())
            || name.strip_prefix("node:").is_some_and(web::node_module)
    };
    let left = imports.filter(|name| **name != chunk.filename && !ours(name)).map(AsRef::<str>::as_ref);
    if let Some(error) = failure::left_over(left, &read, cwd) {
        return Err(error);
    }
    read.sort_unstable();
    let mut modules: Vec<PathBuf> = read.iter().map(|(path, _)| path.clone()).collect();
    modules.extend(watched);
    modules.retain(|path| path.is_absolute());
    modules.sort_unstable();
    modules.dedup();
    let mut outside: Vec<_> =
        read.iter().filter(|(path, _)| boundary.is_outside(path)).map(|(path, _)| relative(path, cwd)).collect();
    outside.sort_unstable();
    outside.dedup();
    let mut sources: Vec<_> = read.into_iter().map(|(path, digest)| (relative(&path, cwd), digest)).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut bundled: Vec<PathBuf> = chunk.module_ids.iter().map(|id| file_of(id.as_str())).collect();
    bundled.retain(|path| path.is_absolute());
    bundled.sort_unstable();
    let mut exports: Vec<String> = chunk.exports.iter().map(ToString::to_string).collect();
    exports.sort_unstable();
    Ok(Bundle {
        code: finish(&chunk.code, recorder.waiting_modules()),
        map: chunk.map.as_ref().map(oxc_sourcemap::SourceMap::to_json_string).unwrap_or_default(),
        sources,
        outside,
        bundled,
        modules,
        has_default_export: exports.iter().any(|name| name == "default"),
        exports,
        warnings,
    })
}

/// One run of the bundler.
struct Pass {
    recorder: Arc<Recorder>,
    output: rolldown::BundleOutput,
    /// Files beside the sources whose change makes the bundle stale.
    watched: Vec<PathBuf>,
}

impl Pass {
    /// Runs it. With `wrap_all` each module is a function in the bundle, and else only those whose order asks for it.
    async fn run(
        entry: &str,
        options: &BundleOptions,
        boundary: &Arc<Boundary>,
        wrap_all: bool,
    ) -> Result<Self, BuildError> {
        let recorder = Arc::new(Recorder::new(Arc::clone(boundary), Arc::clone(&options.capabilities)));
        let fail = |errors: BatchedBuildDiagnostic| match take(&recorder.refused) {
            Some(error) => error,
            None => failure::from_rolldown(errors.into_vec(), &recorder.not_installed(), &options.cwd, boundary),
        };
        let factory = |treeshake: TreeshakeOptions| {
            BundleFactory::new(BundleFactoryOptions {
                bundler_options: BundlerOptions { treeshake, ..rolldown_options(entry, options, wrap_all) },
                plugins: vec![Arc::clone(&recorder) as SharedPluginable],
                session: None,
                disable_tracing_setup: true,
            })
        };
        let bundle = |treeshake| factory(treeshake)?.create_bundle(BundleMode::FullBuild, None);
        // Where statements may be dropped, rolldown first lets oxc remove what looks dead within functions, which
        // changes what programs do (see `preserve`). So modules are read by a run that drops nothing, and linked by one
        // that drops what nobody uses.
        let mut reading = bundle(TreeshakeOptions::Boolean(false)).map_err(fail)?;
        let modules = reading.scan_modules(rolldown_common::ScanMode::Full).await.map_err(fail)?;
        let shaking = InnerOptions { commonjs: Some(false), ..InnerOptions::default() };
        let mut linking = bundle(TreeshakeOptions::Option(shaking)).map_err(fail)?;
        let output = linking.bundle_generate(modules).await.map_err(fail)?;
        let watched = reading.get_watch_files().iter().map(|file| PathBuf::from(file.as_str())).collect();
        Ok(Self { recorder, output, watched })
    }
}

fn rolldown_options(entry: &str, options: &BundleOptions, wrap_all: bool) -> BundlerOptions {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    // Not oxc's compressor, which takes too much for free of effects.
    let minify = if options.minify {
        RawMinifyOptions::Object(RawMinifyOptionsDetailed {
            mangle: Some(RawMangleOptions::default()),
            compress: None,
            remove_whitespace: true,
        })
    } else {
        RawMinifyOptions::Bool(false)
    };
    BundlerOptions {
        input: Some(vec![InputItem { name: Some("app".to_owned()), import: entry.to_owned() }]),
        cwd: Some(options.cwd.clone()),
        platform: Some(Platform::Browser),
        format: Some(OutputFormat::Esm),
        // Sources in the map are relative to the directory of the output: make that the project.
        dir: Some(".".to_owned()),
        entry_filenames: Some("app.js".to_owned().into()),
        code_splitting: Some(CodeSplittingMode::Bool(false)),
        sourcemap: Some(SourceMapType::Hidden),
        // Comments would name files and serve nobody: the code goes straight into the engine.
        comments: Some(CommentsOptions { legal: false, annotation: false, jsdoc: false }),
        banner: (!options.env.is_empty()).then(|| AddonOutputOption::String(Some(environment(&options.env)))),
        // The names of functions and classes, and the order of modules, are those of the source.
        keep_names: Some(true),
        strict_execution_order: Some(true),
        experimental: Some(ExperimentalOptions {
            attach_debug_info: Some(rolldown::AttachDebugInfo::None),
            on_demand_wrapping: Some(!wrap_all),
            ..ExperimentalOptions::default()
        }),
        // A constant of another module is read where it stands: a module that is only imported for one would not run,
        // and in a cycle the constant may not be there yet.
        optimization: Some(OptimizationOption {
            inline_const: Some(InlineConstOption::Bool(false)),
            ..OptimizationOption::default()
        }),
        minify: Some(minify),
        resolve: Some(ResolveOptions {
            condition_names: names(&CONDITIONS),
            main_fields: names(&["browser", "module", "main"]),
            ..ResolveOptions::default()
        }),
        define: Some(
            [("process.env.NODE_ENV", format!("\"{NODE_ENV}\"")), ("global", "globalThis".to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
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

/// Statements that give `process.env` what the build brings along.
fn environment(values: &BTreeMap<String, String>) -> String {
    let value = |text: &String| serde_json::Value::from(text.as_str());
    values.iter().map(|(name, text)| format!("process.env[{}] = {};", value(name), value(text))).collect()
}

/// The bundle as the engine gets it. `waiting` is how many modules wait at their top level.
fn finish(code: &str, waiting: usize) -> String {
    let mut code = if waiting > 1 { order::together(code) } else { code.to_owned() };
    // The namespace that `import()` gives takes no further properties. `export *` of a CommonJS module adds its names
    // later.
    if !code.contains("__reExport(") {
        let helper = code.find("__exportAll = (all, no_symbols) => {");
        if let Some(end) = helper.and_then(|at| Some(at + code[at..].find("return target;")?)) {
            code.replace_range(end..end + "return target;".len(), "return Object.preventExtensions(target);");
        }
    }
    code
}

/// The file that a module's identifier names: it may have a query.
fn file_of(id: &str) -> PathBuf {
    assets::of_id(id).map_or(Path::new(id), |(path, _)| path).to_owned()
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

fn too_large(what: &str, bytes: usize) -> BuildError {
    BuildError::TooLarge(Box::new(
        Details::new(format!("{what} has {bytes} bytes, the limit is {MAX_SOURCE_BYTES}"))
            .help("Load large data at run time instead of importing it."),
    ))
}

fn take<T: Default>(value: &Mutex<T>) -> T {
    std::mem::take(&mut value.lock())
}

#[cfg(test)]
mod tests;

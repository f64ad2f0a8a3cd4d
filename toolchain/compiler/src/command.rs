//! The commands of `elias-build`.

use crate::capabilities::Capabilities;
use crate::diagnostic::{BuildError, Details};
use crate::{BuildOptions, Builder, BuiltComponent, inspect};
use elias_atomic_write::{Access, Fsync};
use elias_command_line::{BuildArguments, InspectArguments, PrepareArguments, TypesArguments};
use elias_contract::key_file::{self, KeyFileError};
use elias_contract::manifest::Manifest;
use elias_contract::signature;
use elias_host::engine::CompiledCache;
use elias_project::Project;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Builds a component and writes it. Exit code 0, or 1 with the reason on standard error and no file written.
#[must_use]
pub fn build(arguments: &BuildArguments) -> ExitCode {
    let started = Instant::now();
    let terminal = std::io::stderr().is_terminal() && !arguments.json;
    match build_and_write(arguments, terminal) {
        Ok(written) => {
            report(arguments, &written, started.elapsed(), terminal);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let text = if arguments.json { format!("{}\n", error.to_json()) } else { error.render(terminal) };
            print(&mut std::io::stderr(), &text);
            ExitCode::FAILURE
        }
    }
}

impl From<KeyFileError> for BuildError {
    fn from(error: KeyFileError) -> Self {
        let details = Box::new(Details::new(error.to_string()).help(error.help().unwrap_or_default()));
        match error {
            KeyFileError::Io { .. } => Self::Io(details),
            KeyFileError::Exposed { .. } => Self::ExposedKey(details),
            KeyFileError::Key { .. } => Self::BadKey(details),
        }
    }
}

/// The output of a build.
struct BuildOutput {
    built: BuiltComponent,
    output: PathBuf,
    signature: Option<Signature>,
}

struct Signature {
    file: PathBuf,
    signers: Vec<String>,
}

fn build_and_write(arguments: &BuildArguments, terminal: bool) -> Result<BuildOutput, BuildError> {
    let options = options(arguments)?;
    // A key that cannot be used is said before the work, and nothing is written.
    let keys = arguments.sign.iter().map(|file| key_file::read(file)).collect::<Result<Vec<_>, _>>()?;
    let built = build_with_progress(arguments, &options, terminal)?;
    let note = if keys.is_empty() { None } else { Some(signature::sign(&keys, &built.wasm)) };
    let note = note.transpose().map_err(|error| {
        BuildError::BadKey(Box::new(Details::new(format!("the component cannot be signed: {error}"))))
    })?;
    let output = arguments.output.clone().unwrap_or_else(|| format!("{}.wasm", file_name(&built.manifest.name)).into());
    write_atomically(&output, &built.wasm)?;
    let signature = match note {
        None => None,
        Some(note) => {
            let file = signature::path_of(&output);
            write_atomically(&file, note.as_bytes())?;
            Some(Signature { file, signers: keys.iter().map(|key| key.id().to_string()).collect() })
        }
    };
    Ok(BuildOutput { built, output, signature })
}

/// Compiles the engine into the cache, so that no build has to. Exit code 0, or 1 with the reason on standard error.
#[must_use]
pub fn prepare(arguments: &PrepareArguments) -> ExitCode {
    let prepared = match cache_dir(arguments.cache_dir.as_deref()) {
        None => {
            let message = "the folder for the compiled engine is unknown";
            let help = "name one with --cache-dir, or set ELIAS_CACHE_DIR, XDG_CACHE_HOME or HOME";
            Err(BuildError::Io(Box::new(Details::new(message.to_owned()).help(help))))
        }
        Some(dir) => open_cache(&dir).and_then(|cache| Builder::new(Some(&cache)).map(|_| dir)),
    };
    match prepared {
        Ok(dir) => {
            print(&mut std::io::stdout(), &format!("the engine is compiled, in {}\n", dir.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(&mut std::io::stderr(), &error.render(std::io::stderr().is_terminal()));
            ExitCode::FAILURE
        }
    }
}

/// Writes TypeScript's declarations of capabilities. Exit code 0, or 1 with the reason on standard error.
#[must_use]
pub fn types(arguments: &TypesArguments) -> ExitCode {
    let made = || -> Result<String, BuildError> {
        let project = Project::find(arguments.project.as_deref(), None, None)?;
        let given: Vec<PathBuf> = absolute(&arguments.capability).collect();
        let paths = if given.is_empty() { project.capabilities() } else { given };
        if paths.is_empty() {
            let details = Details::new("no capabilities are named");
            let help = "name a WIT package: --capability wit/geo.wit, or `capabilities` of [build] in elias.toml";
            return Err(BuildError::Config(Box::new(details.help(help))));
        }
        Ok(Capabilities::read(&paths, &project.root)?.declarations())
    };
    let written = made().and_then(|text| match &arguments.output {
        Some(file) => write_atomically(file, text.as_bytes()),
        None => {
            print(&mut std::io::stdout(), &text);
            Ok(())
        }
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print(&mut std::io::stderr(), &error.render(std::io::stderr().is_terminal()));
            ExitCode::FAILURE
        }
    }
}

/// Shows a component. Exit code 0, or 1 with the reason on standard error.
#[must_use]
pub fn inspect(arguments: &InspectArguments) -> ExitCode {
    let bytes = match std::fs::read(&arguments.component) {
        Ok(bytes) => bytes,
        Err(error) => {
            print(
                &mut std::io::stderr(),
                &format!("error[io]: cannot read {}: {error}\n", arguments.component.display()),
            );
            return ExitCode::FAILURE;
        }
    };
    if arguments.sbom {
        return show_sbom(arguments, &bytes);
    }
    match inspect::inspect(&bytes) {
        Ok(inspection) if arguments.json => {
            let json = serde_json::to_string_pretty(&inspection).unwrap_or_default();
            print(&mut std::io::stdout(), &format!("{json}\n"));
            ExitCode::SUCCESS
        }
        Ok(inspection) => {
            print(&mut std::io::stdout(), &inspection.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            print(
                &mut std::io::stderr(),
                &format!("error[bad-component]: {}: {error}\n", arguments.component.display()),
            );
            ExitCode::FAILURE
        }
    }
}

fn show_sbom(arguments: &InspectArguments, bytes: &[u8]) -> ExitCode {
    let component = arguments.component.display();
    let problem = match inspect::sbom(bytes) {
        Ok(Some(document)) => {
            let json = serde_json::to_string_pretty(&document).unwrap_or_default();
            print(&mut std::io::stdout(), &format!("{json}\n"));
            return ExitCode::SUCCESS;
        }
        Ok(None) => format!("error[no-sbom]: {component} has no list of its packages; build it again\n"),
        Err(error) => format!("error[bad-component]: {component}: {error}\n"),
    };
    print(&mut std::io::stderr(), &problem);
    ExitCode::FAILURE
}

/// The options that the arguments and elias.toml mean.
///
/// # Errors
/// If elias.toml is wrong; see [`Project::find`].
pub fn options(arguments: &BuildArguments) -> Result<BuildOptions, BuildError> {
    let project = Project::find(arguments.project.as_deref(), arguments.entry.as_deref(), arguments.config.as_deref())?;
    let entry = project.entry(arguments.entry.as_deref())?;
    let mut options = BuildOptions::of_project(&project, entry)?;
    options.capabilities.extend(absolute(&arguments.capability));
    Ok(BuildOptions {
        thin: arguments.thin,
        minify: arguments.minify,
        eval: arguments.eval || options.eval,
        stage: arguments.stage,
        locales: if arguments.locales.is_empty() { options.locales } else { arguments.locales.clone() },
        ..options
    })
}

/// Paths of the command line, which are relative to the current folder and not to the project.
fn absolute(paths: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    paths.iter().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
}

/// The folder for compiled code that the arguments, `ELIAS_CACHE_DIR` or the system name; none if none does.
#[must_use]
pub fn cache_dir(given: Option<&Path>) -> Option<PathBuf> {
    let of_environment = || std::env::var_os("ELIAS_CACHE_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let of_user = || {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Some(cache.or_else(home)?.join("elias"))
    };
    given.map(Path::to_owned).or_else(of_environment).or_else(of_user)
}

fn build_with_progress(
    arguments: &BuildArguments,
    options: &BuildOptions,
    terminal: bool,
) -> Result<BuiltComponent, BuildError> {
    let progress = if terminal && !arguments.quiet { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        progress.set_style(style);
    }
    // A build that takes less than a moment shows nothing.
    progress.enable_steady_tick(Duration::from_millis(150));
    let cache = match cache_dir(arguments.cache_dir.as_deref()) {
        None => None,
        Some(dir) => Some(open_cache(&dir)?),
    };
    progress.set_message("opening the engine (compiled once, some seconds)");
    let builder = Builder::new(cache.as_ref())?;
    progress.set_message(format!("building {}", options.entry.display()));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| BuildError::io("start", &error))?;
    let built = runtime.block_on(builder.build(options));
    progress.finish_and_clear();
    built
}

pub(crate) fn open_cache(dir: &Path) -> Result<CompiledCache, BuildError> {
    CompiledCache::open(dir).map_err(|error| {
        let help = "name another folder with --cache-dir";
        BuildError::Io(Box::new(Details::new(format!("the cache {}: {error}", dir.display())).help(help)))
    })
}

/// Replaces the file atomically: a server that watches it never loads a part.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    // Damaged by a power loss, it is built again.
    elias_atomic_write::write_path(path, bytes, Access::Umask, Fsync::None)
        .map_err(|error| BuildError::io(format_args!("write {}", path.display()), &error))
}

fn report(arguments: &BuildArguments, written: &BuildOutput, took: Duration, terminal: bool) {
    let BuildOutput { built, output, signature } = written;
    if arguments.json {
        let json = serde_json::json!({
            "output": output, "bytes": built.wasm.len(), "digest": elias_contract::digest(&built.wasm),
            "manifest": built.manifest, "milliseconds": took.as_millis() as u64,
            "warnings": built.warnings.iter().map(crate::BuildWarning::to_json).collect::<Vec<_>>(),
            "signature": signature.as_ref().map(|Signature { file, signers }| {
                serde_json::json!({ "output": file, "signers": signers })
            }),
        });
        print(&mut std::io::stdout(), &format!("{json}\n"));
        return;
    }
    let mut text = String::new();
    if !arguments.quiet {
        built.logs.iter().for_each(|(_, line)| text.push_str(&format!("{line}\n")));
    }
    for warning in &built.warnings {
        text.push_str(&warning.render(terminal));
    }
    if arguments.quiet {
        print(&mut std::io::stderr(), &text);
        return;
    }
    let size = built.wasm.len() as f64 / 1e6;
    let does = summary(&built.manifest);
    text.push_str(&format!("{} ({size:.2} MB, {does}) in {} ms\n", output.display(), took.as_millis()));
    if let Some(Signature { file, signers }) = signature {
        text.push_str(&format!("{} signed by {}\n", file.display(), signers.join(", ")));
    }
    print(&mut std::io::stderr(), &text);
}

/// What a component is for, in a few words.
fn summary(manifest: &Manifest) -> String {
    let parts = [("handles", &manifest.handlers), ("workers", &manifest.workers)];
    let parts = parts.iter().filter(|(_, names)| !names.is_empty());
    parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

/// A package's name as a file name: `@scope/name` becomes `name`.
fn file_name(package: &str) -> &str {
    package.rsplit('/').next().unwrap_or(package)
}

/// Prints; whoever closed the other end does not want to read on.
fn print(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}

//! Builds the drafts of a platform by `elias-build`, as a child with limits: a temporary folder with the draft's files,
//! no environment, no network, and bounds on CPU time, memory, time and output.

mod packages;

use crate::service_tables;
use bytes::Bytes;
use elias_advisories::Package;
use elias_api::{Code, Diagnostic, Error, Result};
use elias_build::BuildError;
use elias_build::child::VERSION;
use elias_build::draft::{self, DraftResponse};
use elias_capabilities::http::PublicFetch;
use elias_command_line::{Failure, Program, version_settings};
use elias_gateway::GatewayConfig;
use elias_gateway::assets::is_hidden;
use elias_host::ErrorCode;
use elias_names::ComponentName;
use elias_platform::{BuiltDraft, DraftBuilder, DraftComponent};
use elias_project::{ConfigFile, ProjectError, types};
use elias_templates::{Language, Template};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Seconds of CPU time of a build. A project of a thousand modules takes less than one.
const CPU_SECONDS: u64 = 30;
/// Bytes of memory of a build.
const MEMORY_BYTES: u64 = 2 << 30;
/// How long a build may take.
const WALL: Duration = Duration::from_secs(60);
/// Builds at a time on this host. Another one is refused, not queued: it would wait for other tenants'.
const RUNNING_MAX: usize = 8;
/// Bytes of the response before the component.
const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Diagnostics of a build, and bytes of each of their texts.
const DIAGNOSTICS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4_096;
/// The name of the configuration.
const CONFIG: &str = "elias.toml";
/// The name of the folder with a draft's files. What is built of a project without a package.json, or with its entry in
/// the root, has the name of its folder in it: in a temporary one each build would differ.
const PROJECT: &str = "component";

/// Builds drafts in children.
pub(crate) struct ChildBuilder {
    /// The folder of the temporary folders.
    folder: PathBuf,
    /// The folder with the compiled engine, which children only read.
    cache: PathBuf,
    /// Bytes of a component.
    component_bytes: u64,
    /// The registry of npm packages, without a slash at its end, and what fetches from it; none: packages are not
    /// installed.
    registry: Option<(String, PublicFetch)>,
    running: Arc<Semaphore>,
    /// Set once the engine is compiled, which takes seconds of CPU time that are no tenant's.
    prepared: OnceCell<()>,
}

/// What is read of a draft beside its sources.
struct DraftSettings {
    settings: elias_api::VersionSettings,
    files: BTreeMap<String, Bytes>,
}

/// The folder of a build. It is deleted once nobody works in it any more, on a thread for such work: packages are
/// thousands of files.
struct BuildFolder {
    folder: Option<tempfile::TempDir>,
    /// The folder with the draft's files, in it.
    project: PathBuf,
    /// Counts the build among those of the host as long: a client that goes away does not end what a thread does.
    _running: OwnedSemaphorePermit,
}

impl BuildFolder {
    fn new(folder: tempfile::TempDir, running: OwnedSemaphorePermit) -> Self {
        let project = folder.path().join(PROJECT);
        Self { folder: Some(folder), project, _running: running }
    }

    fn path(&self) -> &Path {
        &self.project
    }
}

impl Drop for BuildFolder {
    fn drop(&mut self) {
        let folder = self.folder.take();
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(folder)));
        }
    }
}

impl ChildBuilder {
    pub(crate) fn new(
        data_dir: &Path,
        cache: Option<&Path>,
        component_bytes: u64,
        registry: Option<(String, PublicFetch)>,
    ) -> Self {
        // A child is in another folder.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        Self {
            folder: absolute(data_dir.join("builds")),
            cache: absolute(cache.map_or_else(|| data_dir.join("build-cache"), Path::to_owned)),
            component_bytes,
            registry,
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            prepared: OnceCell::new(),
        }
    }

    async fn build_in_child(&self, files: &BTreeMap<String, String>) -> Result<BuiltDraft> {
        let running = Arc::clone(&self.running).try_acquire_owned().map_err(|_| {
            let message = format!("the host builds {RUNNING_MAX} drafts at the moment; try again");
            Error::new(Code::Component(ErrorCode::Overloaded), message)
        })?;
        self.prepared.get_or_try_init(|| self.prepare()).await?;
        let (parent, written) = (self.folder.clone(), files.clone());
        let folder = tokio::task::spawn_blocking(move || write(&parent, &written)).await;
        let folder = folder.map_err(|panic| internal(&panic))??;
        let folder = Arc::new(BuildFolder::new(folder, running));
        let (settings, mut diagnostics) = match settings(folder.path(), files) {
            Ok(settings) => (Some(settings), Vec::new()),
            Err(diagnostics) => (None, diagnostics),
        };
        if let Err(error) = self.install(files, &folder).await {
            if error.code().status() >= 500 {
                return Err(error);
            }
            let (severity, code) = ("error".to_owned(), error.code().as_str().to_owned());
            diagnostics.push(Diagnostic { severity, code, message: error.to_string(), ..Diagnostic::default() });
            return Ok(BuiltDraft { component: None, diagnostics });
        }
        let mut command = elias_build().map_err(|failure| internal(&failure))?;
        command.arg(draft::ARGUMENT).arg(VERSION).arg(&self.cache);
        command.args([CPU_SECONDS.to_string(), MEMORY_BYTES.to_string()]);
        command.env_clear().current_dir(folder.path());
        let (wasm, told) = run(command, WALL, self.component_bytes).await?;
        diagnostics.extend(read_diagnostics(told, folder.path()));
        // What [build] is wrong with is said by both.
        diagnostics.dedup();
        let component = wasm.zip(settings).map(|(wasm, DraftSettings { settings, files })| DraftComponent {
            wasm,
            settings,
            files,
        });
        Ok(BuiltDraft { component, diagnostics })
    }

    /// Fetches the packages of the draft's lockfile, if there is a registry.
    async fn install(&self, files: &BTreeMap<String, String>, project: &Arc<BuildFolder>) -> Result<()> {
        let Some((registry, fetch)) = &self.registry else { return Ok(()) };
        let installed = packages::install(fetch, registry, packages::read(files)?, project);
        let installed = tokio::time::timeout(WALL, installed).await;
        installed.map_err(|_| over(&format!("its packages were not there after {} s", WALL.as_secs())))?
    }

    /// Deletes what builds of a former process left, and has the engine compiled, if it is not yet.
    async fn prepare(&self) -> Result<()> {
        match tokio::fs::remove_dir_all(&self.folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut command = elias_build().map_err(|failure| internal(&failure))?;
        command.arg("prepare").arg("--cache-dir").arg(&self.cache);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let status = command.status().await.map_err(|error| internal(&error))?;
        if status.success() {
            return Ok(());
        }
        Err(internal(&format_args!("elias-build prepare ended with {status}")))
    }
}

impl DraftBuilder for ChildBuilder {
    fn template(&self, template: &str, draft: &ComponentName) -> Option<BTreeMap<String, String>> {
        let template = Template::named(template)?;
        let files = Language::TypeScript.common().iter().chain(template.files(Language::TypeScript));
        let named = |text: &str| text.replace("{{name}}", draft.as_str());
        Some(files.map(|(path, text)| ((*path).to_owned(), named(text))).collect())
    }

    fn packages(&self, files: &BTreeMap<String, String>) -> Result<Vec<Package>> {
        // Without a registry nothing is installed, whatever a lockfile says.
        let packages = self.registry.as_ref().map_or_else(|| Ok(Vec::new()), |_| packages::read(files))?;
        Ok(packages.iter().map(packages::LockedPackage::package).collect())
    }

    fn build<'a>(&'a self, files: &'a BTreeMap<String, String>) -> BoxFuture<'a, Result<BuiltDraft>> {
        self.build_in_child(files).boxed()
    }
}

fn elias_build() -> std::result::Result<Command, Failure> {
    Ok(Command::from(Program::Build.command()?))
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("building a draft: {error}"))
}

fn over(what: &str) -> Error {
    let message =
        format!("the build was ended: {what}; make the draft smaller, or do less at the top level of modules");
    Error::new(Code::BuildLimit, message)
}

/// Writes the files into [`PROJECT`] of a new folder below `parent`, which goes with the value.
fn write(parent: &Path, files: &BTreeMap<String, String>) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let project = folder.path().join(PROJECT);
    std::fs::create_dir(&project)?;
    for (path, text) in files {
        // The platform has checked the paths: they are relative, and nothing in the folder is a link.
        let file = project.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    // What `tsconfig.json` of a template extends, which belongs to no project's files.
    if files.contains_key("tsconfig.json") {
        types::write(&project, Some(types::CAPABILITIES_HEADER))?;
    }
    Ok(folder)
}

/// The settings that the draft's elias.toml has for a version, or what is wrong with it.
fn settings(folder: &Path, files: &BTreeMap<String, String>) -> std::result::Result<DraftSettings, Vec<Diagnostic>> {
    let path = files.contains_key(CONFIG).then(|| folder.join(CONFIG));
    let config = ConfigFile::read(path.as_deref())
        .map_err(|error: ProjectError| read_diagnostics(vec![BuildError::from(error).to_json()], folder))?;
    let refused = |failure: &Failure| {
        let (severity, code) = ("error".to_owned(), failure.code().to_owned());
        let (message, file) = (bounded(failure.page(), folder), Some(CONFIG.to_owned()));
        vec![Diagnostic { severity, code, message, file, ..Diagnostic::default() }]
    };
    service_tables::check(&config).map_err(|failure| refused(&failure))?;
    let files = version_files(&config, files);
    let settings = version_settings(config).map_err(|failure| refused(&failure))?;
    Ok(DraftSettings { settings, files })
}

/// The migrations and assets among the files of a draft.
fn version_files(config: &ConfigFile, files: &BTreeMap<String, String>) -> BTreeMap<String, Bytes> {
    let plain = |folder: &str| format!("{}/", folder.trim_start_matches("./").trim_end_matches('/'));
    let migrations = config
        .capabilities
        .get("db")
        .map(|grant| plain(grant.get("migrations").and_then(Value::as_str).unwrap_or("migrations")));
    let gateway = config.gateway.as_ref().and_then(|table| GatewayConfig::parse(table).ok());
    let assets = gateway.and_then(|gateway| Some(plain(gateway.assets()?.folder())));
    let belongs = |path: &str| {
        let below = |folder: &Option<String>| path.strip_prefix(folder.as_deref()?);
        let is_migration = |name: &str| !name.contains('/') && name.ends_with(".sql") && !is_hidden(name);
        below(&migrations).is_some_and(is_migration)
            || below(&assets).is_some_and(|name| !name.split('/').any(is_hidden))
    };
    let belonging = files.iter().filter(|(path, _)| belongs(path));
    belonging.map(|(path, text)| (path.clone(), Bytes::from(text.clone()))).collect()
}

/// Runs the child to its end: the component, if there is one, and what was told of the sources.
async fn run(mut command: Command, wall: Duration, component_bytes: u64) -> Result<(Option<Bytes>, Vec<Value>)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| internal(&error))?;
    let Some(output) = child.stdout.take() else { return Err(internal(&"the child has no output")) };
    let most = component_bytes.saturating_add(RESPONSE_BYTES_MAX as u64);
    let mut bytes = Vec::new();
    let end = async {
        output.take(most.saturating_add(1)).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > most {
            return Ok::<Option<ExitStatus>, std::io::Error>(None);
        }
        child.wait().await.map(Some)
    };
    // Dropped on the way out, the child is killed.
    let ended = tokio::time::timeout(wall, end).await;
    let ended = ended.map_err(|_| over(&format!("it was not done after {} s", wall.as_secs())))?;
    let Some(status) = ended.map_err(|error| internal(&error))? else {
        return Err(over(&format!("the component has more than {component_bytes} bytes")));
    };
    if !status.success() {
        return Err(died(status));
    }
    let line = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| internal(&"it has no response"))?;
    let response: DraftResponse = serde_json::from_slice(&bytes[..line]).map_err(|error| internal(&error))?;
    let wasm = Bytes::from(bytes).slice(line + 1..);
    if response.wasm_bytes.unwrap_or(0) != wasm.len() {
        return Err(internal(&"its component is cut short"));
    }
    Ok((response.wasm_bytes.map(|_| wasm), response.diagnostics))
}

/// Why a child ended without a response.
fn died(status: ExitStatus) -> Error {
    const SIGABRT: i32 = 6;
    const SIGKILL: i32 = 9;
    const SIGSEGV: i32 = 11;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGXCPU) => over(&format!("it took {CPU_SECONDS} s of CPU time and was not done")),
        Some(SIGABRT) => over(&format!("it took more than {MEMORY_BYTES} bytes of memory, or is nested too deeply")),
        Some(SIGSEGV) => over("it is nested too deeply"),
        Some(SIGKILL) => over("the system ended it"),
        _ if status.code() == Some(draft::NOT_LIMITED.into()) => internal(&"the child could not be limited"),
        _ => internal(&format_args!("elias-build failed, {status}")),
    }
}

/// Diagnostics as the API has them, related ones after theirs. Files are relative to the draft.
fn read_diagnostics(told: Vec<Value>, folder: &Path) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut rest: Vec<Value> = told.into_iter().rev().collect();
    while let Some(mut one) = rest.pop() {
        if all.len() == DIAGNOSTICS_MAX {
            break;
        }
        if let Some(Value::Array(related)) = one.get_mut("related").map(Value::take) {
            rest.extend(related.into_iter().rev());
        }
        let text = |key: &str| one.get(key).and_then(Value::as_str).map(|text| bounded(text, folder));
        let number = |key: &str| one.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        all.push(Diagnostic {
            severity: text("severity").unwrap_or_default(),
            code: text("code").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            file: text("file"),
            line: number("line"),
            column: number("column"),
            help: text("help"),
            stack: text("stack"),
        });
    }
    all
}

/// A text without the name of the temporary folder, and no longer than is shown.
fn bounded(text: &str, folder: &Path) -> String {
    let mut text = text.replace(&format!("{}/", folder.display()), "");
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests;

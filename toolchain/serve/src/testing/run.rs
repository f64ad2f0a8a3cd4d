//! Building a test file, and running its tests.

use super::outcome::{DeclaredTest, End, FileReport, FinishedTest, Mode, Problem, TestOutput};
use super::snapshots::{self, Snapshots};
use super::triggers::{self, TestTriggers};
use crate::builder::Builder;
use crate::service_tables;
use crate::settings::Settings;
use crate::trial::TrialComponent;
use elias_build::BuildOptions;
use elias_build::command::cache_dir;
use elias_command_line::{Failure, SettingFlags};
use elias_host::{App, HostBuilder};
use elias_project::{CONFIG_FILE, Project};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The folder of the entry modules, each of which imports a test file and the component.
const ENTRY_FOLDER: &str = ".elias/tests";
/// The interfaces that keep data from one instance of a component to the next.
const STATEFUL_INTERFACES: [&str; 2] = ["elias:db/", "elias:cache/"];

/// Which tests, and what becomes of snapshots.
pub(super) struct Choice {
    /// The text that a test's name must contain.
    pub(super) name: Option<String>,
    /// Whether what differs is written anew.
    pub(super) update: bool,
    /// Whether what is new is refused.
    pub(super) locked: bool,
}

/// Runs the tests of a project.
pub(super) struct Runner {
    project: Project,
    entry: Option<PathBuf>,
    builder: Builder,
    settings: Settings,
    triggers: TestTriggers,
    cache: Option<PathBuf>,
}

impl Runner {
    pub(super) fn new(
        project: Project,
        entry: Option<PathBuf>,
        limits: &SettingFlags,
        cache: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut settings = Settings::read(project.config.as_deref())?;
        settings.apply(limits)?;
        let triggers = TestTriggers::new(service_tables::triggers(settings.triggers.as_ref())?);
        let triggers = triggers.map_err(|error| Failure::new(error.code(), &error))?;
        let cache = cache_dir(cache);
        Ok(Self { project, entry, builder: Builder::new(cache.clone()), settings, triggers, cache })
    }

    pub(super) fn root(&self) -> &Path {
        &self.project.root
    }

    /// The configuration, or where it would be.
    pub(super) fn config(&self) -> PathBuf {
        self.project.config.clone().unwrap_or_else(|| self.project.root.join(CONFIG_FILE))
    }

    /// Runs the tests of one file, until `bail` of them have failed; notes in `read` what they were made of.
    pub(super) async fn run(
        &self,
        test: &Path,
        choice: &Choice,
        bail: Option<u32>,
        read: &mut BTreeSet<PathBuf>,
    ) -> FileReport {
        let start = Instant::now();
        let file = test.strip_prefix(self.root()).unwrap_or(test).to_string_lossy().into_owned();
        let mut done = FileReport {
            file,
            problem: None,
            tests: Vec::new(),
            snapshots_written: 0,
            snapshots_obsolete: 0,
            took: Duration::ZERO,
        };
        if let Err(problem) = self.run_into(test, choice, bail, read, &mut done).await {
            done.problem = Some(problem);
        }
        done.took = start.elapsed();
        done
    }

    async fn run_into(
        &self,
        test: &Path,
        choice: &Choice,
        bail: Option<u32>,
        read: &mut BTreeSet<PathBuf>,
        done: &mut FileReport,
    ) -> Result<(), String> {
        let wasm = self.build(test, read).await?;
        let path = snapshots::path_of(test);
        let mut snapshots = Snapshots::read(&path)?;
        let shared = self.load(&wasm).await?;
        let listed = shared.app.call(&json!({ "list": true })).await.map_err(|error| error.to_string())?;
        let declared: Vec<DeclaredTest> = serde_json::from_value(listed.value).map_err(|error| error.to_string())?;
        if declared.is_empty() {
            return Err(format!("{} declares no test", done.file));
        }
        let mut failures = 0;
        let mut all_ran = true;
        for one in declared {
            let chosen = choice.name.as_ref().is_none_or(|wanted| one.name().contains(wanted));
            let ended = |end| FinishedTest { path: one.path.clone(), end, took: Duration::ZERO, fuel: 0 };
            let over = match one.mode {
                _ if !chosen => ended(End::Skipped),
                Mode::Skip => ended(End::Skipped),
                Mode::Todo => ended(End::Todo),
                Mode::Run => {
                    // A test does not read what another one writes.
                    let own = if keeps_data(&shared.app) { Some(self.load(&wasm).await?) } else { None };
                    let app = own.as_ref().map_or(&shared.app, |own| &own.app);
                    run_one(app, &one, choice, &mut snapshots).await
                }
            };
            all_ran &= !matches!(over.end, End::Skipped);
            failures += u32::from(matches!(over.end, End::Failed(_)));
            done.tests.push(over);
            if bail.is_some_and(|most| failures >= most) {
                all_ran = false;
                break;
            }
        }
        (done.snapshots_written, done.snapshots_obsolete) = snapshots.differences();
        if !all_ran {
            done.snapshots_obsolete = 0;
        }
        let clean = choice.update && all_ran && failures == 0;
        if done.snapshots_written > 0 || (clean && done.snapshots_obsolete > 0) {
            let written = snapshots.write(&path, clean);
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }

    async fn build(&self, test: &Path, read: &mut BTreeSet<PathBuf>) -> Result<Vec<u8>, String> {
        let entry = self.write_entry(test).map_err(|error| format!("cannot write below {ENTRY_FOLDER}: {error}"))?;
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let mut options = BuildOptions::of_project(&self.project, entry).map_err(|error| error.render(terminal))?;
        options.capabilities.push(self.root().join(ENTRY_FOLDER).join(triggers::WIT_FILE));
        let built = self.builder.build(&options).await.map_err(|failure| failure.to_string())?;
        read.extend(built.watch);
        Ok(built.wasm)
    }

    /// Writes the entry module, which imports the component and the test file, and exports what runs the tests.
    fn write_entry(&self, test: &Path) -> std::io::Result<PathBuf> {
        let relative = test.strip_prefix(self.root()).unwrap_or(test);
        let name = relative.to_string_lossy().replace(['/', '\\'], "__");
        let folder = self.root().join(ENTRY_FOLDER);
        std::fs::create_dir_all(&folder)?;
        let import = |path: &Path| {
            let path =
                path.strip_prefix(self.root()).map_or_else(|_| path.to_owned(), |path| Path::new("../..").join(path));
            Value::from(path.to_string_lossy()).to_string()
        };
        let (imported, component) = match &self.entry {
            Some(entry) => (format!("import * as component from {};\n", import(entry)), "component"),
            None => (String::new(), "undefined"),
        };
        let (module, functions) = (triggers::MODULE, triggers::FUNCTIONS);
        let text = format!(
            "import {{ tests }} from \"elias/test\";\nimport {{ {functions} }} from \"{module}\";\n\
             {imported}import {};\nexport default tests({component}, {{ {functions} }});\n",
            import(test)
        );
        let entry = folder.join(format!("{name}.mjs"));
        for (file, text) in [(&entry, text.as_str()), (&folder.join(triggers::WIT_FILE), triggers::WIT)] {
            // Written only if it differs, or watching would never end.
            if std::fs::read_to_string(file).ok().as_deref() != Some(text) {
                std::fs::write(file, text)?;
            }
        }
        Ok(entry)
    }

    async fn load(&self, wasm: &[u8]) -> Result<TrialComponent, String> {
        let extend = |host: HostBuilder| host.capability(self.triggers.clone());
        let loaded = TrialComponent::load(&self.project, &self.settings, self.cache.as_deref(), wasm, extend).await;
        loaded.map_err(|failure| failure.to_string())
    }
}

/// Whether one run of a component could leave data to the next.
fn keeps_data(app: &App) -> bool {
    let imports = app.manifest().map(|manifest| manifest.imports.as_slice()).unwrap_or_default();
    imports.iter().any(|import| STATEFUL_INTERFACES.iter().any(|interface| import.starts_with(interface)))
}

async fn run_one(app: &App, one: &DeclaredTest, choice: &Choice, snapshots: &mut Snapshots) -> FinishedTest {
    let order = json!({
        "run": one.id, "name": one.name(), "snapshots": snapshots.known(), "update": choice.update,
        "locked": choice.locked,
    });
    let start = Instant::now();
    let outcome = app.call(&order).await;
    let took = start.elapsed();
    let fuel = match &outcome {
        Ok(answer) => answer.execution.fuel,
        Err(error) => error.execution().map_or(0, |execution| execution.fuel),
    };
    let end = match outcome {
        Ok(answer) => end_of(app, answer.value, snapshots),
        Err(error) => {
            let (message, stack) = match error.exception() {
                Some(thrown) => (format!("{}: {}", thrown.name, thrown.message), thrown.stack.clone()),
                None => (error.to_string(), String::new()),
            };
            End::Failed(vec![Problem { name: error.code().as_str().to_owned(), message, stack, diff: None }])
        }
    };
    FinishedTest { path: one.path.clone(), end, took, fuel }
}

fn end_of(app: &App, value: Value, snapshots: &mut Snapshots) -> End {
    let answer: TestOutput = match serde_json::from_value(value) {
        Ok(answer) => answer,
        Err(error) => {
            let message = format!("the test's result cannot be read: {error}");
            return End::Failed(vec![Problem { name: "Error".to_owned(), message, stack: String::new(), diff: None }]);
        }
    };
    if answer.skipped {
        return End::Skipped;
    }
    for snapshot in answer.snapshots {
        snapshots.take(snapshot.key, snapshot.text);
    }
    if answer.errors.is_empty() {
        return End::Passed;
    }
    let original = |problem: Problem| Problem { stack: app.original_stack(&problem.stack), ..problem };
    End::Failed(answer.errors.into_iter().map(original).collect())
}

//! `elias test`: the project's test files, each built with the component into one of its own, run in the engine with
//! the limits of elias.toml.
//!
//! Every test runs in a fresh instance, as every request does: it sees nothing of what another left, and one that runs
//! out of fuel or memory fails alone. Databases and caches are real, embedded, and empty at its start.

mod files;
mod outcome;
mod report;
mod run;
mod snapshots;
mod triggers;

use crate::changes::FileChanges;
use crate::{failure, logging, types};
use elias_command_line::{CliErrorCode, Failure, Reporter, TestArguments};
use elias_project::Project;
use report::Report;
use run::{Choice, Runner};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the tests. Exit code 0 if none failed and there is one.
///
/// # Errors
/// The reason why no test ran at all.
pub(crate) fn test(arguments: &TestArguments) -> Result<ExitCode, Failure> {
    let _logging = logging::start_for_tests();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    runtime.block_on(async { if arguments.watch { watch(arguments).await } else { once(arguments).await } })
}

async fn once(arguments: &TestArguments) -> Result<ExitCode, Failure> {
    let runner = runner(arguments)?;
    let report = round(arguments, &runner, &mut BTreeSet::new()).await?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs all at every change, until the process is ended.
async fn watch(arguments: &TestArguments) -> Result<ExitCode, Failure> {
    let mut changes = FileChanges::new()?;
    loop {
        let mut read = BTreeSet::new();
        // The configuration may be what is being mended.
        match runner(arguments) {
            Ok(runner) => {
                read.insert(runner.config());
                if let Err(failure) = round(arguments, &runner, &mut read).await {
                    failure::report(&failure);
                }
            }
            Err(failure) => drop(failure::report(&failure)),
        }
        if !read.is_empty() {
            changes.follow(read)?;
        }
        eprintln!("waiting for changes; Ctrl-C ends");
        if changes.next().await.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn runner(arguments: &TestArguments) -> Result<Runner, Failure> {
    let entry = arguments.entry.as_deref();
    let project = Project::find(None, entry, arguments.config.as_deref()).map_err(failure::of_build)?;
    // A project of functions alone can be tested too.
    let entry = match entry {
        Some(_) => Some(project.entry(entry).map_err(failure::of_build)?),
        None => project.entry(None).ok(),
    };
    // Test files import the types; that they cannot be written is for tsc to say.
    let _ = types::write(&project);
    Runner::new(project, entry, &arguments.limits, arguments.cache_dir.as_deref())
}

/// Runs the tests once; notes in `read` what they were made of.
async fn round(arguments: &TestArguments, runner: &Runner, read: &mut BTreeSet<PathBuf>) -> Result<Report, Failure> {
    let tests = files::find(runner.root(), &arguments.filters);
    if tests.is_empty() {
        let wanted = match arguments.filters.as_slice() {
            [] => String::new(),
            filters => format!(" whose path contains {}", filters.join(" or ")),
        };
        let message = format!("no test files were found below {}{wanted}", runner.root().display());
        return Err(Failure::new(CliErrorCode::NoTests, message)
            .help("tests are in files named NAME.test.ts, NAME.test.js or .spec"));
    }
    let choice = Choice {
        name: arguments.name.clone(),
        update: arguments.update,
        // Nobody looks at what is written there.
        locked: !arguments.update && std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false"),
    };
    let person = arguments.reporter == Reporter::Default || arguments.output_file.is_some();
    let mut report = Report::new(person, std::io::stderr().is_terminal());
    for test in &tests {
        read.insert(test.clone());
        let done =
            runner.run(test, &choice, arguments.bail.map(|most| most.saturating_sub(report.failures())), read).await;
        report.add(done);
        if arguments.bail.is_some_and(|most| report.failures() >= most) {
            break;
        }
    }
    report.finish(arguments.reporter, arguments.output_file.as_deref())?;
    Ok(report)
}

//! `elias drafts`: projects that are edited on a platform, as folders, and built there.

use crate::remote::connection::client::{Client, read};
use crate::remote::connection::output::{self, bytes, time};
use clap::{Args, Subcommand};
use elias_api::{Diagnostic, Draft, DraftBuild, DraftBuildRequest, DraftContent, DraftSummary, check_draft_files};
use elias_command_line::text::{plain, plain_lines};
use elias_command_line::{CliErrorCode, Failure, Target};
use elias_names::ComponentName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file of a folder that says which draft it is, and as of which revision.
const RECORD: &str = ".elias/draft.json";
/// Folders that are not the project's sources, beside those whose names begin with a dot.
const SKIPPED: [&str; 3] = ["dist", "node_modules", "target"];
/// Files whose names begin with a dot and that belong to a project.
const DOT_FILES: [&str; 1] = [".gitignore"];
/// Folders within folders.
const DEPTH_MAX: usize = 16;

/// The arguments of `drafts`.
#[derive(Debug, Args)]
pub(crate) struct DraftsArguments {
    #[command(subcommand)]
    command: DraftsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum DraftsCommand {
    /// List the drafts of a tenant
    List,
    /// Create a draft from a template
    Create {
        /// Draft name, which is that of its component
        draft: ComponentName,
        /// Template: hello, hono, api, worker, schedule or event
        #[arg(long, value_name = "NAME", default_value = "hello")]
        template: String,
    },
    /// Write a draft's files into a folder
    Pull {
        /// Draft name
        draft: ComponentName,
        /// Folder to write to [default: the draft's name]
        folder: Option<PathBuf>,
        /// Overwrite files that differ
        #[arg(long)]
        force: bool,
    },
    /// Save the files of a folder as a draft
    Push {
        /// Folder of the project
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Draft name [default: the one that was pulled into the folder]
        #[arg(long, value_name = "NAME")]
        draft: Option<ComponentName>,
    },
    /// Build a draft on the platform, and create a version of it
    Build {
        /// Draft name
        draft: ComponentName,
        /// Only check it: create no version
        #[arg(long)]
        check: bool,
    },
    /// Delete a draft; versions that were built of it stay
    Delete {
        /// Draft name
        draft: ComponentName,
    },
}

/// The draft that a folder has.
#[derive(Serialize, Deserialize)]
struct Record {
    draft: ComponentName,
    revision: u64,
}

/// Lists, creates, pulls, pushes, builds or deletes drafts.
///
/// # Errors
/// `io`, `bad-file`, and what the platform refuses; `stale` if somebody else saved the draft meanwhile.
pub(crate) fn drafts(arguments: &DraftsArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let json = arguments.target.json;
    let url = |draft: &ComponentName| client.tenant_url(&["drafts", draft.as_str()]);
    match &arguments.command {
        DraftsCommand::List => {
            let response = client.list(&client.tenant_url(&["drafts"]), usize::MAX)?;
            let row = |draft: DraftSummary| {
                let (name, files, revision) = (draft.draft.to_string(), draft.files, draft.revision);
                [name, files.to_string(), bytes(draft.bytes), revision.to_string(), time(draft.changed_at)]
            };
            output::print_list(json, &response, ["draft", "files", "size", "revision", "saved"], row)
        }
        DraftsCommand::Create { draft, template } => {
            let content = DraftContent { files: None, template: Some(template.clone()) };
            let response = client.put(url(draft), &content)?;
            output::print_done(json, &response, &format!("the draft {draft} is there: elias drafts pull {draft}"))
        }
        DraftsCommand::Pull { draft, folder, force } => {
            let response = client.get(url(draft))?;
            let folder = folder.clone().unwrap_or_else(|| draft.as_str().into());
            let pulled: Draft = read(&response)?;
            pull(&pulled, &folder, *force)?;
            let said = format!("revision {} of {draft} is in {}", pulled.revision, folder.display());
            output::print_done(json, &response, &said)
        }
        DraftsCommand::Push { folder, draft } => {
            let record = record(folder)?;
            let of_record = record.as_ref().map(|record| &record.draft);
            let draft = draft.as_ref().or(of_record).ok_or_else(|| {
                Failure::new(CliErrorCode::BadInput, format_args!("{} is not a draft yet", folder.display()))
                    .help("name it: elias drafts push --draft NAME")
            })?;
            let content = DraftContent { files: Some(collect(folder)?), template: None };
            let response = match record.as_ref().filter(|record| record.draft == *draft) {
                Some(record) => client.put_at(url(draft), &content, record.revision),
                None => client.put(url(draft), &content),
            };
            let response = response.map_err(|failure| {
                if failure.code() == "stale" {
                    return failure.help(format!(
                        "somebody else saved it, or it exists: pull it into another folder, merge, and push from there \
                         (elias drafts pull {draft} theirs)"
                    ));
                }
                failure
            })?;
            let saved: Draft = read(&response)?;
            remember(folder, &saved)?;
            output::print_done(json, &response, &format!("the draft {draft} is at revision {}", saved.revision))
        }
        DraftsCommand::Build { draft, check } => {
            let request = DraftBuildRequest { revision: None, check: *check };
            let response = client.post(client.tenant_url(&["drafts", draft.as_str(), "builds"]), &request)?;
            let build: DraftBuild = read(&response)?;
            output::print_response(json, &response, || Ok(describe(&build)))?;
            let is_good = build.built && (*check || build.version.is_some());
            if is_good { Ok(()) } else { Err(Failure::reported()) }
        }
        DraftsCommand::Delete { draft } => {
            let response = client.delete(url(draft))?;
            output::print_done(json, &response, &format!("the draft {draft} is deleted"))
        }
    }
}

/// What a build gave: its errors and warnings, and the version.
fn describe(build: &DraftBuild) -> String {
    let mut text: String = build.diagnostics.iter().map(line).collect();
    let (draft, took) = (&build.draft, build.duration_ms);
    text.push_str(&match build.version {
        Some(version) => {
            format!("{draft} {version} was built in {took} ms: elias promote {draft} --version {version}\n")
        }
        None if build.built => format!("{draft} builds, in {took} ms: {}\n", bytes(build.bytes)),
        None => format!("{draft} does not build\n"),
    });
    text
}

fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, code, message, file, line, column, help, .. } = diagnostic;
    let number = |number: &Option<u32>| number.map(|number| format!(":{number}")).unwrap_or_default();
    let place = file.as_ref().map(|file| format!("{}{}{}: ", plain(file), number(line), number(column)));
    let place = place.unwrap_or_default();
    let help = help.as_ref().map(|help| format!("  help: {}\n", plain(help))).unwrap_or_default();
    format!("{place}{}[{}]: {}\n{help}", plain(severity), plain(code), plain_lines(message))
}

/// Writes the files of a draft, none of which is outside of the folder.
fn pull(draft: &Draft, folder: &Path, force: bool) -> Result<(), Failure> {
    check_draft_files(&draft.files).map_err(|error| Failure::new(CliErrorCode::BadAnswer, error))?;
    let differing = draft.files.iter().find(|(path, text)| {
        let there = std::fs::read(folder.join(path));
        there.is_ok_and(|there| there != text.as_bytes())
    });
    if let Some((path, _)) = differing.filter(|_| !force) {
        let message = format!("{} is there and differs from the draft", folder.join(path).display());
        return Err(Failure::new(CliErrorCode::BadFile, message).help("pull into another folder, or use --force"));
    }
    for (path, text) in &draft.files {
        write(&folder.join(path), text)?;
    }
    remember(folder, draft)
}

fn remember(folder: &Path, draft: &Draft) -> Result<(), Failure> {
    let record = Record { draft: draft.draft.clone(), revision: draft.revision };
    let text = serde_json::to_string(&record).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    write(&folder.join(RECORD), &format!("{text}\n"))
}

/// The draft that was pulled into a folder, or pushed from it.
fn record(folder: &Path) -> Result<Option<Record>, Failure> {
    let file = folder.join(RECORD);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&file, &error)),
    };
    let record = serde_json::from_str(&text);
    record.map(Some).map_err(|error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Failure::new(CliErrorCode::BadFile, message).help("delete it, and pull the draft into another folder")
    })
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    std::fs::write(file, text).map_err(|error| failed(file, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(CliErrorCode::Io, format_args!("{}: {error}", path.display()))
}

/// The text files of a project's folder. Binary files, links and components are left out, and named on standard error.
fn collect(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut files = BTreeMap::new();
    walk(folder, "", DEPTH_MAX, &mut files)?;
    check_draft_files(&files)?;
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let kind = entry.file_type().map_err(|error| failed(&entry.path(), &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_skipped = name.starts_with('.') && !DOT_FILES.contains(&name.as_str())
            || SKIPPED.contains(&name.as_str()) && kind.is_dir()
            || name.ends_with(".wasm");
        if is_skipped {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), &format!("{path}/"), depth - 1, files)?;
            continue;
        }
        let text = kind.is_file().then(|| std::fs::read(entry.path())).transpose();
        let text = text.map_err(|error| failed(&entry.path(), &error))?;
        match text.map(String::from_utf8) {
            Some(Ok(text)) => drop(files.insert(path, text)),
            _ => eprintln!("note: {} is left out: a draft has text files only", plain(&path)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(files: &[(&str, &str)]) -> Draft {
        Draft {
            draft: "shop".parse().expect("a name"),
            files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
            revision: 3,
            created_at: 0,
            changed_at: 0,
            changed_by: "ada".into(),
        }
    }

    #[test]
    fn what_is_pulled_is_pushed_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("shop");
        let shop = draft(&[("src/index.ts", "export default {};"), (".gitignore", "dist"), ("elias.toml", "")]);
        pull(&shop, &folder, false).expect("it is new");
        pull(&shop, &folder, false).expect("nothing differs");
        assert_eq!(record(&folder).expect("it is ours").map(|record| record.revision), Some(3));
        for path in ["node_modules/a/index.js", ".env", "dist/shop.wasm", "app.wasm"] {
            write(&folder.join(path), "x").expect("writing");
        }
        std::fs::write(folder.join("photo.png"), [0xff, 0xd8]).expect("writing");
        assert_eq!(collect(&folder).expect("they are good"), shop.files);
        let other = draft(&[("src/index.ts", "export default 1;")]);
        assert!(pull(&other, &folder, false).expect_err("it differs").to_string().contains("--force"));
        pull(&other, &folder, true).expect("forced");
        assert_eq!(collect(&folder).expect("they are good")["src/index.ts"], "export default 1;");
    }

    #[test]
    fn a_draft_writes_nothing_outside_of_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["../x", "/tmp/x", "a/../../x"] {
            let refused = pull(&draft(&[(path, "x")]), folder.path(), true).expect_err(path);
            assert!(refused.to_string().contains("bad-answer"), "{refused}");
        }
        assert_eq!(record(folder.path()).expect("no file").map(|record| record.revision), None);
    }

    #[test]
    fn diagnostics_steer_no_terminal() {
        let diagnostic = Diagnostic {
            severity: "error".into(),
            code: "syntax-error".into(),
            message: "a\u{1b}[2J".into(),
            file: Some("src/index.ts".into()),
            line: Some(3),
            column: Some(5),
            ..Diagnostic::default()
        };
        assert_eq!(line(&diagnostic), "src/index.ts:3:5: error[syntax-error]: a\\u{1b}[2J\n");
    }
}

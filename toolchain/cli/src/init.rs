//! `elias init`: creates a project.

use clap::Args;
use elias_command_line::{CliErrorCode, Failure, Program};
use elias_project::{BuildTable, ENTRIES, Project, types};
use elias_templates::{Language, Template};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Folder of the project, which also names it; existing files are left unchanged
    folder: PathBuf,
    /// Example to start from
    #[arg(long, value_enum, default_value_t = Template::Hello)]
    template: Template,
    /// Language of the example and its test
    #[arg(long, value_enum, default_value_t = Language::TypeScript)]
    language: Language,
}

/// The lines that an existing file should have and lacks.
const HINTS: [(&str, &str); 3] = [
    (".gitignore", "add .elias/, node_modules/, *.wasm and .env"),
    ("tsconfig.json", "add \"extends\": \"./.elias/tsconfig.json\""),
    ("package.json", "`elias check` needs typescript among the devDependencies, and for node: modules @types/node"),
];

/// Writes the project.
///
/// # Errors
/// If its name is not a package name, or it cannot be written.
pub(crate) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = std::path::absolute(&arguments.folder).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let name = folder.components().next_back().map(|name| name.as_os_str().to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let existing = folder.join("package.json").is_file();
    if !existing && !is_name(&name) {
        let message = format!("`{name}` is not a package name");
        return Err(Failure::new(CliErrorCode::BadName, message)
            .help("use lower-case letters, digits, dots, hyphens and underscores, at most 64"));
    }
    // A project with an entry of its own gets what ELIAS needs, and no example beside it.
    let has_entry = ENTRIES.iter().any(|entry| folder.join(entry).is_file());
    let mut kept = Vec::new();
    let (template, language) = (arguments.template, arguments.language);
    for (path, text) in language.common().iter().chain(template.files(language)) {
        let example = ["src/", "test/", "migrations/"].iter().any(|start| path.starts_with(start));
        if example && has_entry {
            continue;
        }
        if folder.join(path).exists() {
            kept.push(*path);
            continue;
        }
        let written = write(&folder.join(path), &text.replace("{{name}}", &name));
        written.map_err(|error| unwritable(&folder, &error))?;
    }
    // A configuration that was there already may be wrong; whatever builds says so.
    let project = Project::find(Some(&folder), None, None).unwrap_or_else(|_| Project {
        root: folder.clone(),
        config: None,
        build: BuildTable::default(),
    });
    write_types(&project)?;
    let shown = arguments.folder.display();
    let install = if template.is_alone() { "npm install   # for `elias check` and editors" } else { "npm install" };
    let mut text = format!("{shown} is there. Next:\n\n  cd {shown}\n  {install}\n  elias dev\n  elias test\n");
    if !kept.is_empty() {
        text.push_str(&format!("\nThese were there and are as they were: {}\n", kept.join(", ")));
        for (path, hint) in HINTS {
            if kept.contains(&path) {
                text.push_str(&format!("  {path}: {hint}\n"));
            }
        }
    }
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Writes the TypeScript declarations; those of capabilities that a project which was there already names, by
/// `elias-build`.
fn write_types(project: &Project) -> Result<(), Failure> {
    let declarations = types::capabilities_file(&project.root);
    let named = !project.build.capabilities.is_empty();
    let none = (!named || !declarations.is_file()).then_some(types::CAPABILITIES_HEADER);
    types::write(&project.root, none).map_err(|error| unwritable(&project.root, &error))?;
    if named {
        let mut command = Program::Build.command()?;
        command.args(["types", "--project"]).arg(&project.root).arg("--output").arg(&declarations);
        // The build reports errors of a capability's WIT.
        let started = command.stderr(Stdio::null()).status();
        started
            .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("elias-build cannot be started: {error}")))?;
    }
    Ok(())
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::new(CliErrorCode::Io, format_args!("cannot write {}: {error}", folder.display()))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

/// Whether npm takes it as a package's name, and ELIAS as a component's.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 64
        && name.starts_with(letter)
        && name.chars().all(|c| letter(c) || matches!(c, '.' | '-' | '_'))
        && name != "node_modules"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for (name, wanted) in [("my-app", true), ("a", true), ("", false), ("My", false), ("a b", false), (".x", false)]
        {
            assert_eq!(is_name(name), wanted, "{name}");
        }
    }
}

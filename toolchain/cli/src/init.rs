//! `elias init`: a small project to begin with.

use crate::failure::Failure;
use crate::types;
use clap::{Args, ValueEnum};
use elias_build::config::BuildTable;
use elias_build::project::{ENTRIES, Project};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `init` is told.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder of the project, whose name is the project's; files that are there stay as they are
    folder: PathBuf,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Template::Hello)]
    template: Template,
}

/// What a project begins with.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    /// A page
    Hello,
    /// Routes, with Hono
    Hono,
    /// A JSON API with a database, by ELIAS.createAPI
    Api,
    /// An output for an input, by ELIAS.createComponent
    Worker,
}

/// What a file that was there should have, if it does not have it.
const HINTS: [(&str, &str); 3] = [
    (".gitignore", "add .elias/, node_modules/, *.wasm and .env"),
    ("tsconfig.json", "add \"extends\": \"./.elias/tsconfig.json\""),
    ("package.json", "`elias check` needs typescript among the devDependencies, and for node: modules @types/node"),
];

/// Files by their paths.
type Files = &'static [(&'static str, &'static str)];

/// The files below `templates/NAME`.
macro_rules! files {
    ($template:literal: $($path:literal),*) => {
        &[$(($path, include_str!(concat!("../templates/", $template, "/", $path)))),*]
    };
}

const COMMON: Files = &[
    (".gitignore", include_str!("../templates/common/gitignore")),
    ("tsconfig.json", include_str!("../templates/common/tsconfig.json")),
];

impl Template {
    fn files(self) -> Files {
        match self {
            Self::Hello => files!("hello": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Hono => files!("hono": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Api => {
                files!("api": "package.json", "elias.toml", "migrations/0001_notes.sql", "src/index.ts", "test/index.test.ts")
            }
            Self::Worker => files!("worker": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
        }
    }

    /// Whether it runs before packages are installed.
    fn is_alone(self) -> bool {
        !matches!(self, Self::Hono)
    }
}

/// Writes the project.
///
/// # Errors
/// If its name is not a package name, or it cannot be written.
pub(crate) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = std::path::absolute(&arguments.folder).map_err(|error| Failure::new("io", error))?;
    let name = folder.components().next_back().map(|name| name.as_os_str().to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let existing = folder.join("package.json").is_file();
    if !existing && !is_name(&name) {
        let message = format!("`{name}` is not a package name");
        return Err(Failure::new("bad-name", message)
            .help("use lower-case letters, digits, dots, hyphens and underscores, at most 64"));
    }
    let unwritable = |error| Failure::new("io", format_args!("cannot write {}: {error}", folder.display()));
    // A project with an entry of its own gets what ELIAS needs, and no example beside it.
    let has_entry = ENTRIES.iter().any(|entry| folder.join(entry).is_file());
    let mut kept = Vec::new();
    for (path, text) in COMMON.iter().chain(arguments.template.files()) {
        let example = ["src/", "test/", "migrations/"].iter().any(|start| path.starts_with(start));
        if example && has_entry {
            continue;
        }
        if folder.join(path).exists() {
            kept.push(*path);
            continue;
        }
        write(&folder.join(path), &text.replace("{{name}}", &name)).map_err(unwritable)?;
    }
    // A configuration that was there already may be wrong; whatever builds says so.
    let project = Project::find(Some(&folder), None, None).unwrap_or_else(|_| Project {
        root: folder.clone(),
        config: None,
        build: BuildTable::default(),
    });
    types::write(&project).map_err(unwritable)?;
    let shown = arguments.folder.display();
    let install =
        if arguments.template.is_alone() { "npm install   # for `elias check` and editors" } else { "npm install" };
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

//! The options of a build in a project's elias.toml and `.env` files.

use crate::diagnostic::{BuildError, Details, SourceLocation};
use crate::{BuildOptions, locales};
use elias_project::{Project, ProjectError, dotenv};
use std::collections::BTreeMap;
use std::path::PathBuf;

impl BuildOptions {
    /// How to build `entry` as `[build]` says.
    ///
    /// # Errors
    /// [`BuildError::Config`] if `env` names a variable that neither the environment nor a `.env` file of the root has,
    /// [`BuildError::UnknownLocale`] for a locale that does not exist, [`BuildError::Io`] if a `.env` file cannot be
    /// read.
    pub fn of_project(project: &Project, entry: impl Into<PathBuf>) -> Result<Self, BuildError> {
        check_locales(project)?;
        let folder = project.config_folder();
        Ok(Self {
            eval: project.build.eval,
            roots: project.build.roots.iter().map(|root| folder.join(root)).collect(),
            capabilities: project.capabilities(),
            env: environment(project)?,
            random_per_build: project.build.random_per_build,
            locales: project.build.locales.clone(),
            ..Self::new(entry, project.root.clone())
        })
    }
}

/// The values of the variables that `env` names: from the environment, or else from a `.env` file.
fn environment(project: &Project) -> Result<BTreeMap<String, String>, BuildError> {
    let mut env = BTreeMap::new();
    if project.build.env.is_empty() {
        return Ok(env);
    }
    let of_files = dotenv::read(&project.root)?;
    for name in &project.build.env {
        let value = std::env::var(name).ok().or_else(|| of_files.get(name).cloned());
        let value = value.ok_or_else(|| {
            let details = Details::new(format!("`env` of [build] names {name}, which is not set"));
            let help = "set it where you build, or in a file .env in the project's root";
            BuildError::Config(Box::new(details.help(help)))
        })?;
        env.insert(name.clone(), value);
    }
    Ok(env)
}

fn check_locales(project: &Project) -> Result<(), BuildError> {
    let Some(tag) = project.build.locales.iter().find(|tag| !locales::is_known(tag)) else { return Ok(()) };
    let details = locales::unknown(tag);
    let text = project.config.as_deref().and_then(|file| Some((file, std::fs::read_to_string(file).ok()?)));
    let location = text.and_then(|(file, text)| {
        let quoted = [format!("\"{tag}\""), format!("'{tag}'")];
        let (start, length) = quoted.iter().find_map(|quoted| Some((text.find(quoted)?, quoted.len())))?;
        Some(SourceLocation::new(file.display().to_string(), text, start, length))
    });
    let details = match location {
        Some(location) => details.at(location),
        None => details,
    };
    Err(BuildError::UnknownLocale(Box::new(details)))
}

/// Shown with the lines of the file that they are about.
impl From<ProjectError> for BuildError {
    fn from(error: ProjectError) -> Self {
        let details = Details::new(error.to_string()).help(error.help().unwrap_or_default());
        match error {
            ProjectError::Io { .. } => Self::Io(Box::new(details)),
            ProjectError::NoEntry { .. } => Self::EntryNotFound(Box::new(details)),
            ProjectError::Config { file, text, span, message } => {
                let location = SourceLocation::new(file, text, span.start, span.len());
                Self::Config(Box::new(Details::new(message).at(location)))
            }
        }
    }
}

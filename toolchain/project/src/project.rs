//! A project: where it is, what its elias.toml says of building, and which module is its entry.

use crate::build_table::{self, BuildTable};
use crate::config_file::CONFIG_FILE;
use crate::error::ProjectError;
use std::path::{Path, PathBuf};

/// The file in a data directory with the URL of the project's development server, while that runs.
pub const DEV_URL_FILE: &str = "dev-url";

/// The entries that are looked for where none is named, in this order.
pub const ENTRIES: [&str; 10] = [
    "src/index.ts",
    "src/index.tsx",
    "src/index.mts",
    "src/index.js",
    "src/index.mjs",
    "src/index.jsx",
    "index.ts",
    "index.tsx",
    "index.js",
    "index.mjs",
];

/// Where a project is, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The root, absolute: paths in errors and in the source map are relative to it.
    pub root: PathBuf,
    /// Its elias.toml, if there is one.
    pub config: Option<PathBuf>,
    /// The table `[build]` of that.
    pub build: BuildTable,
}

impl Project {
    /// The project that `root` names; or else the one that `entry` belongs to: the nearest folder above it with a
    /// package.json, or without one its own, or the one above if that is `src`; or else the nearest folder with an
    /// elias.toml or package.json from the current one upwards.
    ///
    /// Its configuration is `config`, or else the root's elias.toml, or else the current folder's.
    ///
    /// # Errors
    /// [`ProjectError::Io`] if the configuration cannot be read, [`ProjectError::Config`] if its `[build]` is wrong.
    pub fn find(root: Option<&Path>, entry: Option<&Path>, config: Option<&Path>) -> Result<Self, ProjectError> {
        let root = match (root, entry) {
            (Some(root), _) => root.to_owned(),
            (None, Some(entry)) => of_entry(entry),
            (None, None) => of_current_folder(),
        };
        let root = std::path::absolute(&root).unwrap_or(root);
        let found = || [root.join(CONFIG_FILE), CONFIG_FILE.into()].into_iter().find(|file| file.is_file());
        let config = config.map(Path::to_owned).or_else(found);
        let build = config.as_deref().map_or(Ok(BuildTable::default()), build_table::read)?;
        Ok(Self { root, config, build })
    }

    /// The entry module, absolute: `given`, or else `entry` of `[build]`, which is relative to elias.toml, or else
    /// `src/index.ts`, or `.tsx`, `.js` and the like, or one of them without `src`.
    ///
    /// # Errors
    /// [`ProjectError::NoEntry`] if none is named and none is there.
    pub fn entry(&self, given: Option<&Path>) -> Result<PathBuf, ProjectError> {
        let named = || Some(self.config.as_deref()?.parent()?.join(self.build.entry.as_deref()?));
        let usual = || ENTRIES.iter().map(|entry| self.root.join(entry)).find(|entry| entry.is_file());
        let entry = given.map(Path::to_owned).or_else(named).or_else(usual);
        let Some(entry) = entry else { return Err(ProjectError::NoEntry { root: self.root.clone() }) };
        Ok(std::path::absolute(&entry).unwrap_or(entry))
    }

    /// The folder of the configuration, absolute: paths in elias.toml are relative to it.
    #[must_use]
    pub fn config_folder(&self) -> PathBuf {
        let folder = self.config.as_deref().and_then(Path::parent).unwrap_or(&self.root);
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
    }

    /// The WIT packages of its capabilities, absolute.
    #[must_use]
    pub fn capabilities(&self) -> Vec<PathBuf> {
        let folder = self.config_folder();
        self.build.capabilities.iter().map(|path| folder.join(path)).collect()
    }
}

/// Whether a file is JavaScript or TypeScript, by its extension.
#[must_use]
pub fn is_source(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    matches!(extension, "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx")
}

fn of_entry(entry: &Path) -> PathBuf {
    let entry = std::path::absolute(entry).unwrap_or_else(|_| entry.to_owned());
    let folder = entry.parent().unwrap_or(Path::new("."));
    let named = folder.ancestors().find(|folder| folder.join("package.json").is_file());
    let own = if folder.file_name().is_some_and(|name| name == "src") { folder.parent() } else { None };
    named.or(own).unwrap_or(folder).to_owned()
}

fn of_current_folder() -> PathBuf {
    let here = std::path::absolute(".").unwrap_or_else(|_| ".".into());
    let marked = |folder: &&Path| [CONFIG_FILE, "package.json"].iter().any(|name| folder.join(name).is_file());
    let found = here.ancestors().find(marked).map(Path::to_owned);
    found.unwrap_or(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_root_and_entry() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
            std::fs::write(file, text).expect("writing");
        };
        write("a/package.json", "{}");
        write("a/src/deep/x.ts", "");
        let project = Project::find(None, Some(&root.join("a/src/deep/x.ts")), None).expect("it is right");
        assert_eq!(project.root, root.join("a"));
        assert!(project.entry(None).is_err());
        write("a/src/index.js", "");
        assert_eq!(project.entry(None).expect("there is one"), root.join("a/src/index.js"));
        write("a/elias.toml", "[build]\nentry = \"src/deep/x.ts\"\n");
        let project = Project::find(Some(&root.join("a")), None, None).expect("it is right");
        assert_eq!(project.entry(None).expect("it is named"), root.join("a/src/deep/x.ts"));
        write("b/src/index.ts", "");
        let project = Project::find(None, Some(&root.join("b/src/index.ts")), None).expect("it is right");
        assert_eq!(project.root, root.join("b"));
    }
}

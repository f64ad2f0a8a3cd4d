//! package-lock.json, versions 2 and 3. <https://docs.npmjs.com/cli/configuring-npm/package-lock-json>

use super::InstalledPackage;
use crate::diagnostic::{BuildError, Details};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The names under which npm writes its lockfile; the first goes first.
const NPM: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
/// The lockfiles of other package managers.
const OTHERS: [&str; 4] = ["pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];
/// The most bytes of a lockfile that are read.
const BYTES_MAX: u64 = 64 << 20;

/// The lockfiles that were found.
pub(super) enum Lockfile {
    Read(LockedPackages),
    /// One that is not read: its name.
    Unread(&'static str),
    None,
}

/// The packages that a lockfile says must be installed.
pub(super) struct LockedPackages {
    file: PathBuf,
    /// By folder, relative to the lockfile's, with forward slashes.
    packages: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    version: Option<String>,
    integrity: Option<String>,
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "lockfileVersion", default)]
    version: u32,
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
}

/// The folder whose lockfile holds for the package in `folder`: the nearest above it that is not itself in a package.
pub(super) fn holder(folder: &Path) -> Option<&Path> {
    let is_installed = |folder: &Path| folder.components().any(|part| part.as_os_str() == super::NODE_MODULES);
    let mut folders = folder.ancestors().filter(|folder| !is_installed(folder));
    folders.find(|folder| NPM.iter().chain(&OTHERS).any(|name| folder.join(name).is_file()))
}

/// The lockfile in `folder`.
pub(super) fn open(folder: Option<&Path>) -> Result<Lockfile, BuildError> {
    if let Some(folder) = folder {
        for name in NPM {
            let file = folder.join(name);
            if file.is_file() {
                return read(file).map(Lockfile::Read);
            }
        }
        if let Some(name) = OTHERS.into_iter().find(|name| folder.join(name).is_file()) {
            return Ok(Lockfile::Unread(name));
        }
    }
    Ok(Lockfile::None)
}

fn read(file: PathBuf) -> Result<LockedPackages, BuildError> {
    let name = file_name(&file);
    let fail = |message: String| Err(mismatch(message, "Run `npm install`, which writes it anew."));
    match file.metadata() {
        Ok(metadata) if metadata.len() > BYTES_MAX => {
            return fail(format!("{name} has {} bytes; at most {BYTES_MAX} are read", metadata.len()));
        }
        Ok(_) => {}
        Err(error) => return Err(BuildError::io(format_args!("read {name}"), &error)),
    }
    let text = std::fs::read(&file).map_err(|error| BuildError::io(format_args!("read {name}"), &error))?;
    match serde_json::from_slice::<Json>(&text) {
        Err(error) => fail(format!("{name} cannot be read: {error}")),
        Ok(json) if !(2..=3).contains(&json.version) => {
            fail(format!("{name} is of version {}; versions 2 and 3 are read", json.version))
        }
        Ok(json) => Ok(LockedPackages { file, packages: json.packages }),
    }
}

impl LockedPackages {
    /// The integrity of a package, if there is one.
    pub(super) fn check(&self, package: &InstalledPackage) -> Result<Option<&str>, BuildError> {
        let root = self.file.parent().unwrap_or(Path::new("/"));
        let place = package.folder.strip_prefix(root).unwrap_or(&package.folder).to_string_lossy().replace('\\', "/");
        let entry = self.packages.get(&place);
        let should = match entry.and_then(|entry| entry.version.as_deref()) {
            Some(version) if version == package.version => {
                return Ok(entry.and_then(|entry| entry.integrity.as_deref()));
            }
            Some(version) => format!("says {version}"),
            None => "does not have it there".to_owned(),
        };
        let message =
            format!("{} {} is installed, and {} {should}", package.name, package.version, file_name(&self.file));
        let help = "Run `npm ci` to install what the lockfile says, or `npm install` to write down what is installed.";
        Err(mismatch(message, help))
    }
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn mismatch(message: String, help: &str) -> BuildError {
    BuildError::LockfileMismatch(Box::new(Details::new(message).help(help)))
}

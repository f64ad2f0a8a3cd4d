//! Which files may go into a component.
//!
//! A component is made of the project, of what it installed, and of folders that its elias.toml names. Anything else
//! would get in without a word: by an absolute path, by `../../..`, by a link, by `paths` of a tsconfig.json or by the
//! `main` of a package, which its author chose and not the project's.

use crate::diagnostic::{BuildError, Details};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const NODE_MODULES: &str = "node_modules";

/// The folders whose files may be bundled, by their real paths.
#[derive(Debug)]
pub(super) struct Boundary {
    project: PathBuf,
    /// `[build] roots`.
    roots: Vec<PathBuf>,
    /// The folders `node_modules` that an import of the project can reach: its own, and those of the folders above.
    installed: Vec<PathBuf>,
    /// Packages of the same workspace that are linked into one of these.
    members: OnceLock<Vec<PathBuf>>,
}

impl Boundary {
    /// The boundary of the project in `project`, a real path, with further folders, which are relative to it or
    /// absolute.
    ///
    /// # Errors
    /// [`BuildError::Config`] for a root that is not a folder.
    pub(super) fn new(project: &Path, roots: &[PathBuf]) -> Result<Self, BuildError> {
        let roots = roots.iter().map(|root| {
            let path = project.join(root);
            path.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
                let message = format!("the root {} of [build] is not a folder", root.display());
                let help = "roots are folders outside of the project whose files it may import, relative to elias.toml";
                BuildError::Config(Box::new(Details::new(message).help(help)))
            })
        });
        let installed = project.ancestors().filter_map(|folder| folder.join(NODE_MODULES).canonicalize().ok());
        Ok(Self {
            roots: roots.collect::<Result<_, _>>()?,
            installed: installed.collect(),
            project: project.to_owned(),
            members: OnceLock::new(),
        })
    }

    /// Whether this file may be bundled, and shown in an error. A file that is not there may be: it has nothing to
    /// give.
    pub(super) fn contains(&self, file: &Path) -> bool {
        let Ok(file) = file.canonicalize() else { return true };
        let within = |folders: &[PathBuf]| folders.iter().any(|folder| file.starts_with(folder));
        file.starts_with(&self.project)
            || within(&self.roots)
            || within(&self.installed)
            || within(self.members.get_or_init(|| self.find_members()))
    }

    /// Whether the file lies outside of the project and of what is installed, where a line of elias.toml let it in.
    pub(super) fn is_outside(&self, file: &Path) -> bool {
        !file.starts_with(&self.project) && !file.components().any(|part| part.as_os_str() == NODE_MODULES)
    }

    /// Links that `npm`, `pnpm` or `yarn` made for a workspace: `node_modules/x` leads to `packages/x`. Only a folder
    /// that says that it is a workspace counts, and only what lies in it.
    fn find_members(&self) -> Vec<PathBuf> {
        let Some(workspace) = self.project.ancestors().find(|folder| is_workspace(folder)) else { return Vec::new() };
        let folders = self.project.ancestors().map(|folder| folder.join(NODE_MODULES));
        let scoped = |folder: &Path| {
            let scope = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@'));
            if scope && !folder.is_symlink() { entries(folder) } else { vec![folder.to_owned()] }
        };
        let links = folders.flat_map(|folder| entries(&folder)).flat_map(|entry| scoped(&entry));
        links
            .filter(|link| link.is_symlink())
            .filter_map(|link| link.canonicalize().ok())
            .filter(|member| member.starts_with(workspace) && member != workspace)
            .collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_workspace(folder: &Path) -> bool {
    let of_npm = || {
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join("package.json")).ok()?).ok()?;
        json.get("workspaces").map(|_| ())
    };
    folder.join("pnpm-workspace.yaml").is_file() || of_npm().is_some()
}

/// The error for a file outside. `shown` is how its path is told, `folder` that of its folder; `of_package` whether a
/// package asks for it.
pub(super) fn refusal(shown: &str, folder: &str, of_package: bool) -> Details {
    let details = Details::new(format!("{shown} lies outside of the project"));
    details.help(if of_package {
        format!("a package may import its own files, other packages, and modules of the project; {LOOK}")
    } else {
        format!(
            "if it belongs to the project, name its folder in elias.toml: `[build]` and under it `roots = \
            [\"{folder}\"]`; or copy the file"
        )
    })
}

/// The error for a file of somebody else that a package wants as text or bytes.
pub(super) fn not_its_own(shown: &str) -> Details {
    Details::new(format!("{shown} is not a file of the package that imports it as text or bytes")).help(LOOK)
}

/// The remedy for a package that imports other files.
const LOOK: &str = "what else it asks for is not bundled. Look at that package before you use it";

//! The files in a folder of a project, as they are uploaded with a component or served beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How deep folders may be in each other; files below that are left out.
pub const DEPTH_MAX: usize = 32;

/// Why the files of a folder cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A folder cannot be read.
    #[error("cannot read {}: {error}", .folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The name or the kind of a file is not allowed.
    #[error("{} cannot be taken: {why}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The defect.
        why: &'static str,
    },
}

/// Adds the files in `folder`, and in its folders down to `depth`, to `files`: by `prefix` and their path from `folder`
/// on. Files and folders whose names are `hidden` are left out, and files whose names are not `wanted`.
///
/// # Errors
/// [`FilesError`], also for links to folders, which could lead in a circle.
pub fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    hidden: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&str) -> bool,
    files: &mut BTreeMap<String, PathBuf>,
) -> Result<(), FilesError> {
    let failed = |error: std::io::Error| FilesError::Io { folder: folder.to_owned(), error };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        let name = entry.file_name();
        let name = name.to_str().filter(|name| !name.contains('\\') && !name.contains(char::is_control));
        let Some(name) = name else {
            return Err(FilesError::BadFile { path, why: "its name cannot be part of a path" });
        };
        if hidden(name) {
            continue;
        }
        let inner = format!("{prefix}/{name}");
        if kind.is_dir() {
            if depth > 1 {
                walk(&path, &inner, depth - 1, hidden, wanted, files)?;
            }
        } else if wanted(name) {
            // A link to a file counts as the file.
            if !path.is_file() {
                let why = "it is neither a file nor a folder, or a link to a folder";
                return Err(FilesError::BadFile { path, why });
            }
            files.insert(inner, path);
        }
    }
    Ok(())
}

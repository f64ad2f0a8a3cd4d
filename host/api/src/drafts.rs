//! Drafts: projects that users edit on the platform, and what building one gives.

use crate::error::{Code, Error, Result};
use elias_names::ComponentName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Files of a draft.
pub const DRAFT_FILES_MAX: usize = 200;
/// Bytes of a file of a draft.
pub const DRAFT_FILE_BYTES_MAX: usize = 256 << 10;
/// Bytes of all files of a draft, with their paths.
pub const DRAFT_BYTES_MAX: usize = 1 << 20;
/// Drafts of a tenant.
pub const DRAFTS_MAX: u32 = 100;
/// Bytes of the path of a file, and of each of its parts: file systems take no longer names.
const PATH_BYTES_MAX: usize = 256;
const PART_BYTES_MAX: usize = 255;

/// A draft: a project that users edit on the platform, with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Draft {
    /// The name, which is that of the component that it becomes.
    pub draft: ComponentName,
    /// The files: a map from the path, such as `src/index.ts`, to the text.
    pub files: BTreeMap<String, String>,
    /// The revision. It increases with each save and is the `ETag`.
    pub revision: u64,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The time of the last save, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that saved it last.
    pub changed_by: String,
}

/// A draft in a list, without the texts of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DraftSummary {
    /// The name.
    pub draft: ComponentName,
    /// The number of its files.
    pub files: u32,
    /// The bytes of its files.
    pub bytes: u64,
    /// The revision.
    pub revision: u64,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The time of the last save, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that saved it last.
    pub changed_by: String,
}

/// The content of a draft that is saved: all its files, or the template that a new one starts from.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftContent {
    /// All files of the draft: a map from the path to the text. At most 200 files of 262,144 bytes, and 1,048,576 bytes
    /// together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, String>>,
    /// The template in the place of files: `hello`, `hono`, `api`, `worker`, `schedule` or `event`. For a new draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// The response to a save of a draft that somebody else has saved meanwhile.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DraftConflict {
    /// The problem type: `urn:elias:error:stale`.
    pub r#type: String,
    /// The title of the error code, for people.
    pub title: String,
    /// The HTTP status code: 412.
    pub status: u16,
    /// The error code: `stale`.
    pub code: String,
    /// The explanation.
    pub detail: String,
    /// The draft as it is now, to merge with.
    pub current: Draft,
}

/// What to build.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DraftBuildRequest {
    /// The revision of the draft that is meant; the build is refused if it was saved since. Absent for the present one.
    pub revision: Option<u64>,
    /// Whether only to check it: no version is created. False by default.
    pub check: bool,
}

/// The result of building a draft.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DraftBuild {
    /// The name of the draft and of its component.
    pub draft: ComponentName,
    /// The revision that was built.
    pub revision: u64,
    /// Whether the component could be built.
    pub built: bool,
    /// The number of the version that was created; null if the build failed or was a check.
    pub version: Option<u32>,
    /// The errors and warnings, as `elias check` has them.
    pub diagnostics: Vec<Diagnostic>,
    /// The bytes of the component; 0 if there is none.
    pub bytes: u64,
    /// The time that the build took, in milliseconds.
    pub duration_ms: u64,
}

/// An error or a warning about a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Diagnostic {
    /// `error` or `warning`.
    pub severity: String,
    /// The stable code, such as `syntax-error`.
    pub code: String,
    /// The defect, in a sentence.
    pub message: String,
    /// The path of the file; null if it is about none.
    pub file: Option<String>,
    /// The line, from 1; null if it is about none.
    pub line: Option<u32>,
    /// The column, from 1; null if it is about none.
    pub column: Option<u32>,
    /// The remedy; null if there is none to name.
    pub help: Option<String>,
    /// The stack trace of an exception in the lines of the sources; null if it is about none.
    pub stack: Option<String>,
}

/// Checks the files of a draft: their number, bytes and paths. A path is relative, `/` between its parts, and no file
/// is the folder of another; `node_modules` is the server's.
///
/// # Errors
/// `too-large`, `bad-input`.
pub fn check_draft_files(files: &BTreeMap<String, String>) -> Result<()> {
    let too_large = |what: String| Err(Error::new(Code::TooLarge, what));
    if files.len() > DRAFT_FILES_MAX {
        return too_large(format!("a draft has at most {DRAFT_FILES_MAX} files, not {}", files.len()));
    }
    let mut bytes = 0;
    for (path, text) in files {
        bytes += path.len() + text.len();
        if !is_path(path) {
            let shown: String = path.chars().take(PATH_BYTES_MAX).collect();
            let message = format!(
                "the file's path `{}` must be relative and plain, such as src/index.ts, and not in node_modules",
                shown.escape_debug()
            );
            return Err(Error::new(Code::BadInput, message));
        }
        if text.len() > DRAFT_FILE_BYTES_MAX {
            return too_large(format!("{path} has {} bytes; at most {DRAFT_FILE_BYTES_MAX} are taken", text.len()));
        }
        let mut folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(file) = folders.find(|folder| files.contains_key(*folder)) {
            return Err(Error::new(Code::BadInput, format!("{file} is a file, and the folder of {path}")));
        }
    }
    if bytes > DRAFT_BYTES_MAX {
        return too_large(format!("the files have {bytes} bytes together; a draft has at most {DRAFT_BYTES_MAX}"));
    }
    Ok(())
}

fn is_path(path: &str) -> bool {
    // On some file systems `.GIT` is `.git`.
    let is_reserved =
        |part: &str| ["node_modules", ".git", ".elias"].iter().any(|name| part.eq_ignore_ascii_case(name));
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !is_reserved(part) && part.len() <= PART_BYTES_MAX;
    path.len() <= PATH_BYTES_MAX
        && !path.contains(|c: char| c == '\\' || c.is_control())
        && path.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, usize)]) -> Result<(), Code> {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), "x".repeat(*bytes))).collect();
        check_draft_files(&files).map_err(|error| error.code())
    }

    #[test]
    fn paths_stay_in_the_draft() {
        assert_eq!(check(&[("src/index.ts", 1), (".gitignore", 0), ("a b/é.txt", 1)]), Ok(()));
        let (long, long_part) = (format!("x/{}", "x".repeat(PATH_BYTES_MAX - 1)), "x".repeat(PART_BYTES_MAX + 1));
        for path in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/../b",
            "./a",
            "a\\b",
            "a\0",
            "a\nb",
            "node_modules/x/index.js",
            "a/.GIT/config",
            long.as_str(),
            long_part.as_str(),
        ] {
            assert_eq!(check(&[(path, 1)]), Err(Code::BadInput), "{path}");
        }
        assert_eq!(check(&[("a", 1), ("a/b", 1)]), Err(Code::BadInput), "a file and a folder");
        assert_eq!(check(&[("a", 1), ("ab/c", 1)]), Ok(()));
    }

    #[test]
    fn drafts_are_bounded() {
        assert_eq!(check(&[("a", DRAFT_FILE_BYTES_MAX)]), Ok(()));
        assert_eq!(check(&[("a", DRAFT_FILE_BYTES_MAX + 1)]), Err(Code::TooLarge));
        let names: Vec<String> = (0..=DRAFT_FILES_MAX).map(|at| format!("f{at}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        assert_eq!((check(&many[1..]), check(&many)), (Ok(()), Err(Code::TooLarge)));
        let large = ["a", "b", "c", "d"].map(|name| (name, DRAFT_FILE_BYTES_MAX));
        assert_eq!(check(&large), Err(Code::TooLarge), "with their paths");
    }
}

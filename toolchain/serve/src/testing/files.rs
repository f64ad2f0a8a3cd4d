//! The search for test files.

use std::path::{Path, PathBuf};

/// Folders that hold no tests of the project.
const SKIPPED: [&str; 5] = ["node_modules", "target", "dist", "build", "coverage"];
const ENDINGS: [&str; 8] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"];
/// How deep folders are looked into.
const DEPTH_MAX: usize = 24;

/// The files below `root` called `NAME.test.ts`, `NAME.spec.js` and the like, sorted, whose path relative to it
/// contains one of `filters`, or all if there are none.
pub(super) fn find(root: &Path, filters: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    look(root, 0, &mut found);
    found.retain(|file| {
        let relative = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
        filters.is_empty() || filters.iter().any(|filter| relative.contains(filter.trim_start_matches("./")))
    });
    found.sort();
    found
}

fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX && !name.starts_with('.') && !SKIPPED.contains(&&*name) => {
                look(&path, depth + 1, found);
            }
            Ok(kind) if kind.is_file() && is_test(&name) => found.push(path),
            _ => {}
        }
    }
}

fn is_test(name: &str) -> bool {
    let Some((rest, ending)) = name.rsplit_once('.') else { return false };
    ENDINGS.contains(&ending) && (rest.ends_with(".test") || rest.ends_with(".spec"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_known_by_their_names() {
        for (name, wanted) in [("a.test.ts", true), ("b.spec.jsx", true), ("test.ts", false), ("a.test.ts.snap", false)]
        {
            assert_eq!(is_test(name), wanted, "{name}");
        }
    }
}

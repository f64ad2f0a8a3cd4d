//! The statements of an installed package's package.json about its modules, and whether it can be read at all.

use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `sideEffects` by the folder of the package.json. webpack's field: the modules that do something although nobody uses
/// what they export. <https://webpack.js.org/guides/tree-shaking/#mark-the-file-as-side-effect-free>
#[derive(Debug, Default)]
pub(super) struct SideEffects {
    known: Mutex<HashMap<PathBuf, Option<Arc<Value>>>>,
}

impl SideEffects {
    /// Whether importing `file` has effects, as far as a package.json says; the nearest one speaks for a file.
    pub(super) fn of(&self, file: &Path) -> Option<bool> {
        let mut folder = file.parent()?;
        loop {
            if let Some(package) = self.read(folder) {
                let inside = file.strip_prefix(folder).ok()?.to_string_lossy().replace('\\', "/");
                return match package.get("sideEffects")? {
                    Value::Bool(effects) => Some(*effects),
                    Value::String(pattern) => Some(matches(pattern, &inside)),
                    Value::Array(patterns) => {
                        Some(patterns.iter().filter_map(Value::as_str).any(|pattern| matches(pattern, &inside)))
                    }
                    _ => None,
                };
            }
            folder = folder.parent()?;
        }
    }

    fn read(&self, folder: &Path) -> Option<Arc<Value>> {
        let mut known = self.known.lock();
        if let Some(package) = known.get(folder) {
            return package.clone();
        }
        let read = std::fs::read(folder.join("package.json")).ok();
        let package = read.map(|text| Arc::new(serde_json::from_slice(&text).unwrap_or(Value::Null)));
        known.insert(folder.to_owned(), package.clone());
        package
    }
}

/// A pattern without a slash means a file in any folder, as one that begins with `./` means any folder's below.
fn matches(pattern: &str, file: &str) -> bool {
    let relative = pattern.trim_start_matches("./");
    let anywhere = relative.len() != pattern.len() || !relative.contains('/');
    let glob = if anywhere { format!("**/{relative}") } else { relative.to_owned() };
    let glob = if glob.starts_with('!') { format!("\\{glob}") } else { glob };
    fast_glob::glob_match(&glob, file)
}

/// The first package.json, from `folder` upwards or of what is installed under `name`, that is there and cannot be
/// read, with the reason.
pub(super) fn unreadable(name: &str, folder: &Path) -> Option<(PathBuf, String)> {
    let above = folder.ancestors().map(|folder| folder.join("package.json"));
    let installed = folder.ancestors().map(|folder| folder.join("node_modules").join(name).join("package.json"));
    above.chain(installed).find_map(|file| {
        let text = std::fs::read(&file).ok()?;
        let error = serde_json::from_slice::<Value>(&text).err()?;
        Some((file, error.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_webpack() {
        for (pattern, file, wanted) in [
            ("*.css", "lib/a.css", true),
            ("./lib/setup.js", "lib/setup.js", true),
            ("lib/*.js", "lib/a.js", true),
            ("lib/*.js", "lib/x/a.js", false),
            ("**/poly/**", "lib/poly/two.js", true),
            ("setup.js", "lib/other.js", false),
        ] {
            assert_eq!(matches(pattern, file), wanted, "{pattern} {file}");
        }
    }
}

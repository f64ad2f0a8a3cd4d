//! Paths as errors, source maps and the manifest show them.

use std::borrow::Cow;
use std::path::Path;

/// `path` relative to the project directory, with forward slashes. A path outside of it begins with `../`.
pub(crate) fn relative(path: &Path, project: &Path) -> String {
    let shared = path.components().zip(project.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".into(), project.components().count() - shared);
    let down = path.components().skip(shared).map(|component| component.as_os_str().to_string_lossy());
    up.chain(down).collect::<Vec<Cow<'_, str>>>().join("/")
}

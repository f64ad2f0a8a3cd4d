//! The description of the component in package.json.

use crate::diagnostic::{BuildError, Details, SourceLocation};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Name and version of a component.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The package.json, if there is one.
    pub(crate) file: Option<PathBuf>,
}

/// Reads the project's package.json; without one, the component is named after its entry file.
pub(crate) fn read(project: &Path, entry: &Path) -> Result<Package, BuildError> {
    #[derive(Deserialize)]
    struct Json {
        name: Option<String>,
        version: Option<String>,
    }
    let file = project.join("package.json");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let stem = entry.file_stem().map_or("component".into(), |stem| stem.to_string_lossy().into_owned());
            // `src/index.js` says nothing; the folder around it does.
            let folder =
                project.canonicalize().ok().and_then(|at| Some(at.file_name()?.to_string_lossy().into_owned()));
            let name = if stem == "index" { folder.unwrap_or(stem) } else { stem };
            return Ok(Package { name, version: "0.0.0".into(), file: None });
        }
        Err(error) => return Err(BuildError::io("read package.json", &error)),
    };
    let json: Json = serde_json::from_str(&text).map_err(|error| {
        let location = SourceLocation::of_line("package.json", text.as_str(), error.line(), error.column());
        let details = Details::new(format!("package.json cannot be read: {error}")).at(location);
        BuildError::SyntaxError(Box::new(details.help("it must be a JSON object with `name` and `version`")))
    })?;
    Ok(Package {
        name: json.name.filter(|name| !name.is_empty()).unwrap_or_else(|| "component".into()),
        version: json.version.filter(|version| !version.is_empty()).unwrap_or_else(|| "0.0.0".into()),
        file: Some(file),
    })
}

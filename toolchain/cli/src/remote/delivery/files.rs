//! The files that are uploaded with a component: migrations of its database, and what is served as it is.

use crate::remote::connection::client::Client;
use elias_command_line::{CliErrorCode, Failure};
use elias_gateway::assets::is_hidden;
use elias_names::Digest;
use elias_project::files::{self, DEPTH_MAX, FilesError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};

/// The folder of migrations, unless `[capabilities.db]` names another.
const MIGRATIONS: &str = "migrations";

/// The files below `folder`, by the path that they have in the version.
///
/// # Errors
/// `config` if a folder that elias.toml names is not there, `io` if it cannot be read, `bad-file` for names and links
/// that cannot be uploaded.
pub(crate) fn collect(
    folder: &Path,
    db: Option<&Value>,
    assets: Option<&str>,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut files = BTreeMap::new();
    if let Some(db) = db {
        let named = db.get("migrations").and_then(Value::as_str);
        let path = named.map_or_else(|| Ok(MIGRATIONS.to_owned()), relative)?;
        let migrations = folder.join(&path);
        if migrations.is_dir() {
            walk(&migrations, &path, 1, &|name| name.ends_with(".sql"), &mut files)?;
        } else if named.is_some() {
            return Err(no_folder("[capabilities.db] migrations", &migrations));
        }
    }
    if let Some(path) = assets {
        let assets = folder.join(path);
        if !assets.is_dir() {
            return Err(no_folder("[gateway.assets] folder", &assets));
        }
        walk(&assets, path, DEPTH_MAX, &|_| true, &mut files)?;
    }
    Ok(files)
}

fn no_folder(key: &str, folder: &Path) -> Failure {
    let help = "the path is relative to the folder of elias.toml: create the folder, or name another one";
    Failure::new(CliErrorCode::Config, format_args!("{key}: the folder {} does not exist", folder.display())).help(help)
}

/// A relative path as the platform writes it.
fn relative(path: &str) -> Result<String, Failure> {
    let mut parts = Vec::new();
    let mut inside = true;
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => inside = false,
        }
    }
    if !inside || parts.is_empty() {
        let message = format!("[capabilities.db] migrations: `{path}` must be a folder within the project");
        return Err(
            Failure::new(CliErrorCode::Config, message).help("name a folder beside elias.toml, such as \"migrations\"")
        );
    }
    Ok(parts.join("/"))
}

/// Adds the files in `folder`, and in its folders down to `depth`.
fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    wanted: &dyn Fn(&str) -> bool,
    files: &mut BTreeMap<String, PathBuf>,
) -> Result<(), Failure> {
    // `.env`, `.git`: neither a migration nor for the world.
    files::walk(folder, prefix, depth, &is_hidden, wanted, files).map_err(|error| match error {
        FilesError::Io { .. } => Failure::new(CliErrorCode::Io, error),
        FilesError::BadFile { path, why } => {
            let message = format!("{} cannot be uploaded: {why}", path.display());
            Failure::new(CliErrorCode::BadFile, message).help("rename, copy or remove it")
        }
    })
}

/// Sends the files that the platform has not; all of them by digest.
///
/// # Errors
/// `io`, and what the platform refuses.
pub(crate) fn upload(client: &Client, files: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, Digest>, Failure> {
    let send = |(name, path): (&String, &PathBuf)| {
        let bytes = read(path)?;
        let digest = Digest::of(&bytes);
        client.upload(&digest, bytes.into())?;
        Ok::<_, Failure>((name.clone(), digest))
    };
    files.iter().map(send).collect()
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: &dyn Display| Failure::new(CliErrorCode::Io, format_args!("cannot read {}: {error}", path.display()));
    std::fs::read(path).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(folder: &Path, name: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(path, "x").expect("writing");
    }

    fn names(folder: &Path, db: Option<Value>) -> Vec<String> {
        let assets = folder.join("public").is_dir().then_some("public");
        collect(folder, db.as_ref(), assets).expect("they are good").into_keys().collect()
    }

    #[test]
    fn migrations_and_assets_go_with_a_component() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        assert!(names(folder, Some(json!({}))).is_empty());
        for name in [
            "migrations/1.sql",
            "migrations/notes.txt",
            "migrations/old/0.sql",
            "db/a/2.sql",
            "public/a/b.css",
            "public/.env",
            "public/a/.git/config",
            "migrations/.2.sql",
            "src/x.ts",
        ] {
            write(folder, name);
        }
        assert_eq!(names(folder, None), ["public/a/b.css"]);
        assert_eq!(names(folder, Some(json!({}))), ["migrations/1.sql", "public/a/b.css"]);
        assert_eq!(names(folder, Some(json!({ "migrations": "./db/a/" }))), ["db/a/2.sql", "public/a/b.css"]);
        write(folder, "public/.well-known/security.txt");
        assert_eq!(names(folder, None), ["public/.well-known/security.txt", "public/a/b.css"]);
        for path in ["../x", "/etc", "none"] {
            assert!(collect(folder, Some(&json!({ "migrations": path })), None).is_err(), "{path}");
        }
        assert!(collect(folder, None, Some("none")).expect_err("no folder").to_string().contains("[gateway.assets]"));
    }

    #[cfg(unix)]
    #[test]
    fn links_to_folders_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "public/a.css");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("public/all")).expect("a link");
        assert!(collect(folder.path(), None, Some("public")).expect_err("a loop").to_string().contains("bad-file"));
    }
}

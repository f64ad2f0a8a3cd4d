//! Migrations: the files `*.sql` in a folder beside the component, run in the order of their names, each of them once.

use super::bindings::Error;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_host::capability::ConfigureError;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// The folder, unless the grant names another.
const FOLDER: &str = "migrations";

/// Bytes of one file.
const FILE_BYTES: u64 = 4 << 20;

/// The timeout of one migration, which also bounds the wait for its turn.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    pub(crate) name: String,
    /// SHA-256 of its text, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) sql: String,
}

/// A component's migrations, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Migrations(pub(crate) Vec<Migration>);

impl Migrations {
    /// Reads those in `folder`/`given`, or in the usual folder, which need not be there.
    pub(crate) fn read(folder: &Path, given: Option<&str>) -> Result<Self, ConfigureError> {
        let invalid = |why: String| ConfigureError::Invalid(format!("migrations: {why}"));
        let opened = Dir::open_ambient_dir(folder, ambient_authority())
            .and_then(|component| component.open_dir(given.unwrap_or(FOLDER)));
        let folder = match opened {
            Ok(folder) => folder,
            Err(error) if error.kind() == ErrorKind::NotFound && given.is_none() => return Ok(Self::default()),
            Err(error) => return Err(invalid(format!("the folder cannot be opened: {}", error.kind()))),
        };
        let entries = folder.entries().map_err(|error| invalid(error.kind().to_string()))?;
        let mut migrations = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| invalid(error.kind().to_string()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !name.ends_with(".sql") {
                continue;
            }
            let failed = |error: std::io::Error| invalid(format!("{name} cannot be read: {}", error.kind()));
            if folder.metadata(&name).map_err(failed)?.len() > FILE_BYTES {
                return Err(invalid(format!("{name} has more than {FILE_BYTES} bytes")));
            }
            let sql = folder.read_to_string(&name).map_err(failed)?;
            migrations.push(Migration { digest: digest(&sql), name, sql });
        }
        migrations.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(migrations))
    }
}

impl Migration {
    /// Whether it must still run, by the digest that was recorded when it ran.
    pub(crate) fn is_due(&self, recorded: Option<&str>) -> Result<bool, ConfigureError> {
        match recorded {
            None => Ok(true),
            Some(digest) if digest == self.digest => Ok(false),
            Some(_) => {
                let name = &self.name;
                Err(ConfigureError::Invalid(format!("migrations: {name} was changed after it had been applied")))
            }
        }
    }

    /// The error for a migration that failed.
    pub(crate) fn failed(&self, error: &Error) -> ConfigureError {
        let state = error.sqlstate.as_ref().map_or_else(String::new, |state| format!(" ({state})"));
        ConfigureError::Invalid(format!("migrations: {} failed: {}{state}", self.name, error.message))
    }
}

/// SHA-256, in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hexadecimal, byte| {
        let _ = write!(hexadecimal, "{byte:02x}");
        hexadecimal
    })
}

/// A component's name as a part of a file's or schema's name: as it is if nothing in it needs care, and with a digest
/// if something was replaced, so that different names stay different.
pub(crate) fn safe_name(name: &str, longest: usize) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    // Roles and schemas that are made here begin with `c_`, and no others do.
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.starts_with("c_");
    if starts && name.len() <= longest.min(40) && name.chars().all(fits) {
        return name.to_owned();
    }
    let kept: String =
        name.chars().take(24).map(|c| c.to_ascii_lowercase()).map(|c| if fits(c) { c } else { '_' }).collect();
    format!("c_{kept}_{}", &digest(name)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_and_stay_different() {
        assert_eq!(safe_name("orders", 57), "orders");
        let names =
            ["Orders", "orders-1", "orders_1", "../orders", "", "1", "c_orders_1", "é"].map(|name| safe_name(name, 57));
        for (at, name) in names.iter().enumerate() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
            assert!(!names[..at].contains(name), "{name}");
        }
    }

    #[test]
    fn files_are_read_in_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Migrations::read(folder.path(), None).unwrap().0.is_empty());
        assert!(Migrations::read(folder.path(), Some("migrations")).is_err());
        assert!(Migrations::read(folder.path(), Some("../..")).is_err());
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        for name in ["2.sql", "1.sql", "notes.txt"] {
            std::fs::write(folder.path().join("migrations").join(name), "SELECT 1").unwrap();
        }
        let names: Vec<String> = Migrations::read(folder.path(), None).unwrap().0.into_iter().map(|m| m.name).collect();
        assert_eq!(names, ["1.sql", "2.sql"]);
    }
}

//! A terminal for tests: runs commands as a user types them.

use crate::build::{Finish, binary};
use std::process::{Command, Output};

/// A terminal: a folder to be in, and a user's own configuration.
pub struct Terminal {
    home: tempfile::TempDir,
}

impl Terminal {
    /// One in an empty folder.
    ///
    /// # Panics
    /// If there is no room for it.
    #[must_use]
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    /// Types a line in a folder; gives what it printed.
    ///
    /// # Panics
    /// If the command cannot be started.
    #[must_use]
    pub fn output(&self, folder: &str, line: &[&str]) -> Output {
        let mut command = Command::new(binary("elias"));
        command.args(line).current_dir(self.home.path().join(folder)).env("ELIAS_CONFIG_DIR", self.path("config"));
        command.finish().expect("elias starts")
    }

    /// Types a line that has to do what it says; gives what it printed on standard output.
    ///
    /// # Panics
    /// If the command fails.
    pub fn types(&self, folder: &str, line: &[&str]) -> String {
        let output = self.output(folder, line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "elias {}\n{errors}", line.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Puts one text for another in a file.
    ///
    /// # Panics
    /// If it is not there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{from:?} in {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

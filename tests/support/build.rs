//! Components for tests, made by the shipped `elias-build`.

use crate::serve::PATIENCE;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

/// Running a command to its end, which must come.
pub trait Finish {
    /// Like [`Command::output`], but no longer than [`PATIENCE`]: a test that waits for ever holds all the others up.
    ///
    /// # Errors
    /// If it cannot be started.
    ///
    /// # Panics
    /// If it does not end; then it is killed.
    fn finish(&mut self) -> io::Result<Output>;
}

impl Finish for Command {
    fn finish(&mut self) -> io::Result<Output> {
        let child = self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let process = child.id().to_string();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        if let Ok(output) = end.recv_timeout(PATIENCE) {
            return output;
        }
        let _ = Self::new("kill").args(["-9", &process]).status(); // it may have ended just now
        let said = end.recv().expect("it is dead now");
        panic!("{self:?} does not end; it said {said:?}")
    }
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A shipped binary, in the profile that the tests were built with.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a test has a file");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let binary = folder.join(name);
    assert!(binary.is_file(), "{} is missing: run the tests with `make test`", binary.display());
    binary
}

/// A project folder that is removed when dropped.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project with these files: path and content.
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let project = Self { folder };
        for (path, content) in files {
            project.write(path, content);
        }
        project
    }

    /// Writes one file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("writing the project");
        std::fs::write(path, content).expect("writing the project");
    }

    /// The folder itself.
    #[must_use]
    pub fn into_folder(self) -> tempfile::TempDir {
        self.folder
    }

    /// A path in the project.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs `elias-build` in the project.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn elias_build(&self, arguments: &[&str]) -> Output {
        Command::new(binary("elias-build"))
            .args(arguments)
            .current_dir(self.folder.path())
            .finish()
            .expect("elias-build starts")
    }

    /// Builds `entry` and gives the component.
    ///
    /// # Panics
    /// If the build fails.
    #[must_use]
    pub fn build(&self, entry: &str) -> Vec<u8> {
        let output = self.elias_build(&[entry, "-o", "app.wasm"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(self.path("app.wasm")).expect("elias-build wrote it")
    }
}

/// The component for one module of JavaScript.
#[must_use]
pub fn component(source: &str) -> Vec<u8> {
    Project::new(&[("index.js", source)]).build("index.js")
}

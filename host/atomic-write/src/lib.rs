//! Files that are replaced atomically: a reader finds the old content or the new one, never a part, even if the process
//! is killed while it writes.
//!
//! The content is written to a temporary file in the same folder, which is then renamed. This is built on `cap_std`'s
//! folders and not on the crate `tempfile`, which needs paths: most callers have an open folder that they do not leave.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use std::borrow::Borrow;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// The permissions of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone (mode 0600).
    OwnerOnly,
    /// Whoever the process's umask lets (mode 0666 without the umask).
    Umask,
}

/// The part that is on the disk when a write returns, and so survives a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Nothing: after a power loss the file can be missing, old, or damaged.
    None,
    /// The content: after a power loss the file is the old one or the new one, whole.
    File,
    /// The content and the name: after a power loss the file is the new one.
    FileAndFolder,
}

/// A file that is being written under a temporary name. It is removed when dropped, unless it was
/// [committed](AtomicFile::commit). After a crash it stays in its folder.
#[derive(Debug)]
pub struct AtomicFile<D: Borrow<Dir>> {
    file: File,
    temporary: Temporary<D>,
}

#[derive(Debug)]
struct Temporary<D: Borrow<Dir>> {
    folder: D,
    path: PathBuf,
    renamed: bool,
}

impl<D: Borrow<Dir>> AtomicFile<D> {
    /// Creates the temporary file `STEM.ULID` in `folder`, to be written and read through [`AtomicFile::file`].
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create(folder: D, stem: impl AsRef<Path>, access: Access) -> Result<Self> {
        let mut path = stem.as_ref().as_os_str().to_owned();
        path.push(format!(".{}", ulid::Ulid::new()));
        let mode = match access {
            Access::OwnerOnly => 0o600,
            Access::Umask => 0o666,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(mode);
        let opened: &Dir = folder.borrow();
        let file = opened.open_with(&path, &options)?;
        Ok(Self { file, temporary: Temporary { folder, path: path.into(), renamed: false } })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, a path in the folder, in place of a file that has it; the open file.
    ///
    /// # Errors
    /// If the file cannot be written to the disk or renamed: then it is removed, and what had the name stays. If the
    /// folder cannot be written to the disk, the file has its name all the same.
    pub fn commit(self, name: impl AsRef<Path>, fsync: Fsync) -> Result<File> {
        let Self { file, mut temporary } = self;
        let name = name.as_ref();
        if fsync != Fsync::None {
            file.sync_all()?;
        }
        temporary.rename(name)?;
        if fsync == Fsync::FileAndFolder {
            temporary.sync_parent(name)?;
        }
        Ok(file)
    }
}

impl<D: Borrow<Dir>> Temporary<D> {
    fn rename(&mut self, name: &Path) -> Result<()> {
        let folder: &Dir = self.folder.borrow();
        folder.rename(&self.path, folder, name)?;
        self.renamed = true;
        Ok(())
    }

    fn sync_parent(&self, name: &Path) -> Result<()> {
        let folder: &Dir = self.folder.borrow();
        let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A `Dir` is open by O_PATH, with which nothing can be synced.
        folder.open(parent)?.sync_all()
    }
}

impl<D: Borrow<Dir>> Drop for Temporary<D> {
    fn drop(&mut self) {
        if !self.renamed {
            let folder: &Dir = self.folder.borrow();
            let _ = folder.remove_file(&self.path); // a full disk must not be filled further
        }
    }
}

/// Writes a file in `folder`, in place of one with that name.
///
/// # Errors
/// If it cannot be written: what had the name stays, and nothing is left behind.
pub fn write(folder: &Dir, name: impl AsRef<Path>, bytes: &[u8], access: Access, fsync: Fsync) -> Result<()> {
    let file = AtomicFile::create(folder, &name, access)?;
    file.file().write_all(bytes)?;
    file.commit(name, fsync).map(drop)
}

/// Writes the file at `path`, in place of one that is there. Creates missing folders.
///
/// # Errors
/// As [`write`]; and if a folder cannot be created, or the path has no file name.
pub fn write_path(path: &Path, bytes: &[u8], access: Access, fsync: Fsync) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it has no file name"))?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    write(&Dir::open_ambient_dir(folder, ambient_authority())?, name, bytes, access, fsync)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("it is there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("it is read").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_what_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        for fsync in [Fsync::None, Fsync::File, Fsync::FileAndFolder] {
            let file = folder.path().join("below/a");
            for text in ["one", "two"] {
                write_path(&file, text.as_bytes(), Access::OwnerOnly, fsync).expect("there is room");
                assert_eq!(std::fs::read_to_string(&file).expect("it is there"), text);
            }
            assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        }
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).expect("there is room");
        write_path(&taken, b"three", Access::Umask, Fsync::None).expect_err("a folder is not replaced");
        write_path(Path::new("/"), b"four", Access::Umask, Fsync::None).expect_err("it is not a file");
        assert_eq!(names(folder.path()), ["below", "taken"]);
        assert_eq!(names(&folder.path().join("below")), ["a"]);
    }

    #[test]
    fn a_file_appears_under_its_name_when_it_is_committed() {
        let path = tempfile::tempdir().expect("a folder");
        let folder = Dir::open_ambient_dir(path.path(), ambient_authority()).expect("it is there");
        folder.create_dir("below").expect("there is room");
        drop(AtomicFile::create(&folder, "below/dropped", Access::Umask).expect("there is room"));
        let file = AtomicFile::create(&folder, "partial", Access::Umask).expect("there is room");
        file.file().write_all(b"one").expect("there is room");
        assert!(names(path.path()).iter().any(|name| name.starts_with("partial.")));
        file.commit("below/a", Fsync::FileAndFolder).expect("there is room");
        assert_eq!(names(path.path()), ["below"]);
        assert_eq!(names(&path.path().join("below")), ["a"]);
    }
}

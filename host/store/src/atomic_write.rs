//! Files that are there whole or not at all, also if the process is killed while they are written.

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use std::io::{Result, Write};

/// Writes a file in the place of one with that name, if there is one. Only this user may read it.
pub fn write(folder: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let partial = format!("{name}.{}", ulid::Ulid::new());
    let written = fill(folder, &partial, bytes).and_then(|()| folder.rename(&partial, folder, name));
    if written.is_err() {
        let _ = folder.remove_file(&partial); // a disk that is full gets no fuller
    }
    written
}

fn fill(folder: &Dir, name: &str, bytes: &[u8]) -> Result<()> {
    let mut file = folder.open_with(name, OpenOptions::new().write(true).create_new(true).mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    #[test]
    fn a_file_is_replaced_and_what_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Dir::open_ambient_dir(folder.path(), ambient_authority()).expect("it is there");
        write(&folder, "a", b"one").expect("there is room");
        write(&folder, "a", b"two").expect("there is room");
        assert_eq!(folder.read("a").expect("it is there"), b"two");
        folder.create_dir("taken").expect("there is room");
        write(&folder, "taken", b"three").expect_err("a folder is not replaced");
        let mut names: Vec<_> = folder.entries().expect("it is there").flatten().map(|one| one.file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "taken"]);
    }
}

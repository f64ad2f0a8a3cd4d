//! The TypeScript declarations that a project gets, those of its own capabilities included, and the compiler that
//! checks types by them.

use elias_build::capabilities::Capabilities;
use elias_project::{Project, types};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Writes what is missing or of another version; see [`types::write`].
pub(crate) fn write(project: &Project) -> std::io::Result<()> {
    // The build reports errors of a capability's WIT; editors keep the last that was right.
    let capabilities = match Capabilities::read(&project.capabilities(), &project.root) {
        Ok(capabilities) => Some(capabilities.declarations()),
        Err(_) if types::capabilities_file(&project.root).is_file() => None,
        Err(_) => Some(types::CAPABILITIES_HEADER.to_owned()),
    };
    types::write(&project.root, capabilities.as_deref())
}

/// The TypeScript compiler that is installed for a project.
pub(crate) fn compiler(root: &Path) -> Option<PathBuf> {
    root.ancestors().map(|at| at.join("node_modules/.bin/tsc")).find(|tsc| tsc.is_file())
}

/// Has the compiler check a project now and at every change, and write to standard error, until the result is dropped.
/// None without a compiler or a tsconfig.json: whoever has them expects that types are checked.
pub(crate) fn watch(root: &Path) -> Option<Child> {
    if !root.join("tsconfig.json").is_file() {
        return None;
    }
    let compiler = compiler(root)?;
    let mut command = Command::new(&compiler);
    command.args(["--noEmit", "--watch", "--preserveWatchOutput", "--project", "tsconfig.json"]).current_dir(root);
    command.stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            tracing::warn!(%error, "types are not checked: {} cannot be started", compiler.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn types_are_checked_where_there_is_a_compiler() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        assert!(watch(root).is_none());
        let program = root.join("node_modules/.bin/tsc");
        std::fs::create_dir_all(program.parent().expect("it has one")).expect("a folder");
        std::fs::write(&program, "#!/bin/sh\necho \"$@\" > told\n").expect("it is written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it is ours");
        assert!(watch(root).is_none(), "there is nothing that says what to check");
        std::fs::write(root.join("tsconfig.json"), "{}").expect("it is written");
        // A file that was just written cannot be run while a process that another test starts has it open.
        let mut started = std::iter::repeat_with(|| watch(root)).flatten().next().expect("it starts in the end");
        let ended = started.wait().await.expect("it ends");
        assert!(ended.success());
        let told = std::fs::read_to_string(root.join("told")).expect("it was run in the project");
        assert!(told.contains("--noEmit") && told.contains("--watch"), "{told}");
    }
}

//! The TypeScript declarations that a project gets, those of its own capabilities included.

use elias_build::capabilities::Capabilities;
use elias_project::{Project, types};

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

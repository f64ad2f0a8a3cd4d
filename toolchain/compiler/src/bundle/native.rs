//! Packages that cannot run in a component: native addons, and those that open sockets.

use crate::diagnostic::{BuildWarning, Details};
use rolldown::plugin::HookLoadOutput;
use rolldown_common::ModuleType;
use std::path::{Path, PathBuf};

/// Packages that do nothing without sockets, threads or files, and what stands in for each. Those with a build for
/// workers are not here.
const CANNOT_RUN: [(&str, &str); 14] = [
    ("bcrypt", "bcryptjs is the same in JavaScript"),
    ("better-sqlite3", "use `db` of the package `elias`"),
    ("canvas", "a component cannot draw"),
    ("fsevents", "a component cannot watch files"),
    ("ioredis", "use `cache` of the package `elias`"),
    ("mongodb", "use `db` of the package `elias`, or the database's HTTP API"),
    ("mysql2", "use `db` of the package `elias`"),
    ("pg", "use `db` of the package `elias`"),
    ("puppeteer", "a component cannot start processes"),
    ("redis", "use `cache` of the package `elias`"),
    ("sharp", "use a service, or a package in JavaScript or WebAssembly that needs no threads"),
    ("socket.io", "a component cannot open sockets; use Server-Sent Events"),
    ("sqlite3", "use `db` of the package `elias`"),
    ("ws", "a component cannot open sockets; use Server-Sent Events"),
];

/// Whether the file is a native addon.
pub(super) fn is_addon(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "node")
}

/// A module in place of a native addon: it throws when it is loaded, as a package's own `try` expects.
pub(super) fn stub(name: &str) -> HookLoadOutput {
    let message = serde_json::Value::from(format!("{name} is a native addon, which a component cannot load"));
    let code = format!("throw Object.assign(new Error({message}), {{ code: \"ERR_DLOPEN_DISABLED\" }});\n");
    HookLoadOutput { code: code.into(), module_type: Some(ModuleType::Js), ..HookLoadOutput::default() }
}

pub(super) fn warning(name: &str) -> BuildWarning {
    let details =
        Details::new(format!("{name} is a native addon: code for the machine, which a component cannot load"))
            .help("it throws where it is loaded; use a package in JavaScript");
    BuildWarning::CannotRun(Box::new(details))
}

/// A warning for each package of the bundle that cannot run.
pub(super) fn warnings(bundled: &[PathBuf]) -> Vec<BuildWarning> {
    let folders = bundled.iter().filter_map(|file| crate::sbom::folder_of(file));
    let mut names: Vec<String> = folders.filter_map(|folder| crate::sbom::name_of(&folder)).collect();
    names.sort_unstable();
    names.dedup();
    let cannot = names.iter().filter_map(|name| CANNOT_RUN.iter().find(|(known, _)| known == name));
    cannot
        .map(|(name, instead)| {
            let details = Details::new(format!("the package {name} cannot work in a component")).help(*instead);
            BuildWarning::CannotRun(Box::new(details))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted() {
        assert!(super::CANNOT_RUN.is_sorted());
    }
}

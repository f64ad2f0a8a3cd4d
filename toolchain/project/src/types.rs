//! The types of the package `elias`, which come with the toolchain: a project finds them in its folder `.elias`, always
//! in the version of the programs that it uses.

use std::path::{Path, PathBuf};

/// The compiler options of a component, and where the types are.
const TSCONFIG: &str = r#"{
  "files": ["./types/files.d.ts", "./types/capabilities.d.ts"],
  "compilerOptions": {
    "target": "es2023",
    "lib": ["es2023", "esnext.disposable", "dom", "dom.iterable", "dom.asynciterable"],
    "types": [{{types}}],
    "module": "esnext",
    "moduleResolution": "bundler",
    "customConditions": ["elias", "workerd", "worker", "browser"],
    "moduleDetection": "force",
    "allowImportingTsExtensions": true,
    "resolveJsonModule": true,
    "isolatedModules": true,
    "strict": true,
    "skipLibCheck": true,
    "noEmit": true,
    "paths": { "elias": ["./types/index.d.ts"], "elias/*": ["./types/modules/*.d.ts"] }
  }
}
"#;

/// Files of the package, by their paths in `.elias`.
const FILES: [(&str, &str); 22] = [
    ("tsconfig.json", TSCONFIG),
    ("types/index.d.ts", include_str!("../../../guest-js/sdk/index.d.ts")),
    ("types/files.d.ts", include_str!("../../../guest-js/sdk/files.d.ts")),
    ("types/modules/client.d.ts", include_str!("../../../guest-js/sdk/client/client.d.ts")),
    ("types/modules/clients.d.ts", include_str!("../../../guest-js/sdk/client/clients.d.ts")),
    ("types/modules/clone.d.ts", include_str!("../../../guest-js/sdk/client/clone.d.ts")),
    ("types/modules/drizzle.d.ts", include_str!("../../../guest-js/sdk/adapters/drizzle.d.ts")),
    ("types/modules/kysely.d.ts", include_str!("../../../guest-js/sdk/adapters/kysely.d.ts")),
    ("types/modules/cache.d.ts", include_str!("../../../guest-js/sdk/modules/cache.d.ts")),
    ("types/modules/config.d.ts", include_str!("../../../guest-js/sdk/modules/config.d.ts")),
    ("types/modules/db.d.ts", include_str!("../../../guest-js/sdk/modules/db.d.ts")),
    ("types/modules/eiasw.d.ts", include_str!("../../../guest-js/sdk/modules/eiasw.d.ts")),
    ("types/modules/events.d.ts", include_str!("../../../guest-js/sdk/modules/events.d.ts")),
    ("types/modules/flags.d.ts", include_str!("../../../guest-js/sdk/modules/flags.d.ts")),
    ("types/modules/forms.d.ts", include_str!("../../../guest-js/sdk/modules/forms.d.ts")),
    ("types/modules/http.d.ts", include_str!("../../../guest-js/sdk/modules/http.d.ts")),
    ("types/modules/jobs.d.ts", include_str!("../../../guest-js/sdk/modules/jobs.d.ts")),
    ("types/modules/log.d.ts", include_str!("../../../guest-js/sdk/modules/log.d.ts")),
    ("types/modules/test.d.ts", include_str!("../../../guest-js/sdk/modules/test.d.ts")),
    ("types/modules/trace.d.ts", include_str!("../../../guest-js/sdk/modules/trace.d.ts")),
    ("types/modules/workers.d.ts", include_str!("../../../guest-js/sdk/modules/workers.d.ts")),
    ("types/modules/workflow.d.ts", include_str!("../../../guest-js/sdk/modules/workflow.d.ts")),
];

/// The first line of the declarations of a project's capabilities; all of them where it has none.
pub const CAPABILITIES_HEADER: &str =
    "// Made by elias from the WIT of the project's capabilities. Changes will be lost.\n";

/// The file with the declarations of the capabilities of the project at `root`.
#[must_use]
pub fn capabilities_file(root: &Path) -> PathBuf {
    root.join(".elias/types/capabilities.d.ts")
}

/// Writes what is missing or of another version to the project at `root`, with these declarations of its capabilities;
/// `None` leaves those that it has. A project that has installed the types of Node.js is checked with them: they have
/// the modules `node:`, of which a component has some.
///
/// # Errors
/// If a file cannot be written.
pub fn write(root: &Path, capabilities: Option<&str>) -> std::io::Result<()> {
    let absolute = std::path::absolute(root)?;
    let node = absolute.ancestors().any(|folder| folder.join("node_modules/@types/node").is_dir());
    for (name, text) in FILES {
        let text = text.replace("{{types}}", if node { "\"node\"" } else { "" });
        write_changed(&root.join(".elias").join(name), &text)?;
    }
    capabilities.map_or(Ok(()), |text| write_changed(&capabilities_file(root), text))
}

/// Writes a file unless it has this text already, so that nobody who watches it is woken.
fn write_changed(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(path).ok().as_deref() == Some(text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_of_the_package_is_here() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-js/sdk/modules");
        for file in std::fs::read_dir(folder).expect("it is there").flatten() {
            let name = format!("types/modules/{}", file.file_name().to_string_lossy());
            assert!(FILES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}

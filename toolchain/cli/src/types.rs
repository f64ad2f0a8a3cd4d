//! The types of the package `elias`, which come with this program: a project finds them in its folder `.elias`, always in the
//! version of the program that it uses. Those of capabilities that its elias.toml names are made of their WIT packages.

use elias_build::capabilities::Capabilities;
use elias_build::project::Project;

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
const FILES: [(&str, &str); 12] = [
    ("tsconfig.json", TSCONFIG),
    ("types/index.d.ts", include_str!("../../../guest-js/sdk/index.d.ts")),
    ("types/files.d.ts", include_str!("../../../guest-js/sdk/files.d.ts")),
    ("types/modules/drizzle.d.ts", include_str!("../../../guest-js/sdk/adapters/drizzle.d.ts")),
    ("types/modules/kysely.d.ts", include_str!("../../../guest-js/sdk/adapters/kysely.d.ts")),
    ("types/modules/cache.d.ts", include_str!("../../../guest-js/sdk/modules/cache.d.ts")),
    ("types/modules/config.d.ts", include_str!("../../../guest-js/sdk/modules/config.d.ts")),
    ("types/modules/db.d.ts", include_str!("../../../guest-js/sdk/modules/db.d.ts")),
    ("types/modules/forms.d.ts", include_str!("../../../guest-js/sdk/modules/forms.d.ts")),
    ("types/modules/http.d.ts", include_str!("../../../guest-js/sdk/modules/http.d.ts")),
    ("types/modules/log.d.ts", include_str!("../../../guest-js/sdk/modules/log.d.ts")),
    ("types/modules/test.d.ts", include_str!("../../../guest-js/sdk/modules/test.d.ts")),
];

/// Where the declarations of a project's capabilities are.
const CAPABILITIES: &str = "types/capabilities.d.ts";

/// Writes what is missing or of another version. A project that has installed the types of Node.js is checked with
/// them: they have the modules `node:`, of which a component has some.
pub(crate) fn write(project: &Project) -> std::io::Result<()> {
    let root = project.root.as_path();
    let root_of_project = std::path::absolute(root)?;
    // What is wrong with a capability's WIT is for the build to say; editors keep the last that was right.
    let capabilities = match Capabilities::read(&project.capabilities(), root) {
        Ok(capabilities) => Some(capabilities.declarations()),
        Err(_) if root.join(".elias").join(CAPABILITIES).is_file() => None,
        Err(_) => Some(Capabilities::default().declarations()),
    };
    let node = root_of_project.ancestors().any(|folder| folder.join("node_modules/@types/node").is_dir());
    for (name, text) in FILES.into_iter().chain(capabilities.as_deref().map(|text| (CAPABILITIES, text))) {
        let path = root.join(".elias").join(name);
        let text = text.replace("{{types}}", if node { "\"node\"" } else { "" });
        let text = text.as_str();
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_module_of_the_package_is_here() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-js/sdk/modules");
        for file in std::fs::read_dir(folder).expect("it is there").flatten() {
            let name = format!("types/modules/{}", file.file_name().to_string_lossy());
            assert!(FILES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}

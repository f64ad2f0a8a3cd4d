//! The bill of materials: which packages are in a bundle, in which version and with which integrity, as CycloneDX 1.6.
//! <https://cyclonedx.org/docs/1.6/json/>
//!
//! It has neither a date nor a serial number: the same sources give the same bytes. It is a JSON literal, since the
//! crate `cyclonedx-bom` (0.8) writes the versions 1.3 to 1.5 only.

mod lockfile;

use crate::diagnostic::{BuildError, BuildWarning, Details};
use crate::package::Package;
use base64::Engine as _;
use lockfile::Lockfile;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::path::{Path, PathBuf};

const NODE_MODULES: &str = "node_modules";

/// A package that is in a bundle.
#[derive(Debug)]
struct InstalledPackage {
    folder: PathBuf,
    name: String,
    version: String,
    /// The licence as its package.json says it: an SPDX expression, if the author kept to the rules.
    licence: Option<String>,
}

/// The bill of materials of a bundle made of the files `bundled`, and what the author should know of it.
///
/// # Errors
/// [`BuildError::LockfileMismatch`] if a bundled package is not what the project's lockfile says it must be.
pub(crate) fn make(package: &Package, bundled: &[PathBuf]) -> Result<(Value, Vec<BuildWarning>), BuildError> {
    let packages = installed(bundled);
    let mut lockfiles = BTreeMap::new();
    let (mut components, mut errors, mut unlocked) = (Vec::new(), Vec::new(), BTreeMap::<_, usize>::new());
    for package in &packages {
        let holder = lockfile::holder(&package.folder);
        let lockfile = match lockfiles.entry(holder) {
            Slot::Occupied(open) => open.into_mut(),
            Slot::Vacant(new) => new.insert(lockfile::open(holder)?),
        };
        let integrity = match lockfile {
            Lockfile::Read(locked) => locked.check(package).unwrap_or_else(|error| {
                errors.push(error);
                None
            }),
            Lockfile::Unread(name) => {
                *unlocked.entry(Some(*name)).or_default() += 1;
                None
            }
            Lockfile::None => {
                *unlocked.entry(None).or_default() += 1;
                None
            }
        };
        components.push(component(package, integrity));
    }
    if let Some(error) = BuildError::all(errors) {
        return Err(error);
    }
    let warnings = unlocked.into_iter().map(|(name, count)| no_integrity(name, count)).collect();
    let url = purl(&package.name, &package.version);
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": url, "name": package.name, "version": package.version, "purl": url,
            },
            "tools": {
                "components": [{ "type": "application", "name": "elias-build", "version": env!("CARGO_PKG_VERSION") }],
            },
        },
        "components": components,
    });
    Ok((document, warnings))
}

/// Compares what a source says it is made with, such as `lodash@4.17.21` or `zod@^4`, with a bill of materials.
///
/// # Errors
/// [`BuildError::DependencyMismatch`] for the first package that is not in it, or in another version.
pub(crate) fn compare(dependencies: &[String], document: &Value) -> Result<(), BuildError> {
    let full_name = |component: &Value| match component["group"].as_str() {
        Some(group) => format!("{group}/{}", component["name"].as_str().unwrap_or_default()),
        None => component["name"].as_str().unwrap_or_default().to_owned(),
    };
    let components = document["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    for dependency in dependencies {
        let Some((name, wanted)) = dependency.rsplit_once('@') else { continue };
        let found: Vec<&str> = components
            .iter()
            .filter(|component| full_name(component) == name)
            .filter_map(|component| component["version"].as_str())
            .collect();
        let fits = |version: &&str| {
            let range = nodejs_semver::Range::parse(wanted);
            *version == wanted
                || range.is_ok_and(|range| nodejs_semver::Version::parse(version).is_ok_and(|it| range.satisfies(&it)))
        };
        let problem = match found.iter().find(|version| !fits(version)) {
            Some(version) => {
                format!("the source says that it is made with {dependency}, and {name} {version} is bundled")
            }
            None if found.is_empty() => {
                format!("the source says that it is made with {dependency}, and {name} is not in the component")
            }
            None => continue,
        };
        let help = "install that version, or say in `dependencies` what is installed";
        return Err(BuildError::DependencyMismatch(Box::new(Details::new(problem).help(help))));
    }
    Ok(())
}

/// The warning that `count` packages have no integrity; `lockfile` is one that is not read.
fn no_integrity(lockfile: Option<&str>, count: usize) -> BuildWarning {
    let packages = if count == 1 { "one package".to_owned() } else { format!("{count} packages") };
    let details = match lockfile {
        Some(name) => {
            Details::new(format!("{name} is not read: {packages} in the component have no integrity on record"))
                .help("package-lock.json has the integrities: `npm install --package-lock-only` writes one.")
        }
        None => Details::new(format!("a lockfile with the integrity of {packages} in the component is missing"))
            .help("Run `npm install`, and commit package-lock.json."),
    };
    BuildWarning::NoLockfile(Box::new(details))
}

/// The packages that the files belong to, sorted by name, version and folder.
fn installed(bundled: &[PathBuf]) -> Vec<InstalledPackage> {
    let mut folders: Vec<PathBuf> = bundled.iter().filter_map(|file| folder_of(file)).collect();
    folders.sort_unstable();
    folders.dedup();
    let mut packages: Vec<InstalledPackage> = folders
        .into_iter()
        .filter_map(|folder| {
            let json: Value = serde_json::from_slice(&std::fs::read(folder.join("package.json")).ok()?).ok()?;
            let text = |key: &str| json[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            Some(InstalledPackage {
                name: text("name").or_else(|| name_of(&folder))?,
                version: text("version").unwrap_or_else(|| "0.0.0".to_owned()),
                licence: text("license"),
                folder,
            })
        })
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version, &a.folder).cmp(&(&b.name, &b.version, &b.folder)));
    packages
}

/// The folder of the package that a file was installed with: what follows the last `node_modules` in its path.
pub(crate) fn folder_of(file: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = file.components().collect();
    let at = parts.iter().rposition(|part| part.as_os_str() == NODE_MODULES)?;
    let scoped = parts.get(at + 1)?.as_os_str().to_string_lossy().starts_with('@');
    let end = at + if scoped { 3 } else { 2 };
    (end < parts.len()).then(|| parts[..end].iter().collect())
}

/// `@scope/name` or `name` by the folder's place.
pub(crate) fn name_of(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    match folder.parent()?.file_name()?.to_str()? {
        scope if scope.starts_with('@') => Some(format!("{scope}/{name}")),
        _ => Some(name.to_owned()),
    }
}

/// The package URL. <https://github.com/package-url/purl-spec> Of the characters in npm's names and versions only these
/// two are escaped: the crate `packageurl` would replace one line.
fn purl(name: &str, version: &str) -> String {
    format!("pkg:npm/{}@{}", name.replacen('@', "%40", 1), version.replace('+', "%2B"))
}

fn component(package: &InstalledPackage, integrity: Option<&str>) -> Value {
    let url = purl(&package.name, &package.version);
    let mut component = json!({
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "purl": url,
    });
    if let Some((group, name)) = package.name.split_once('/') {
        component["group"] = group.into();
        component["name"] = name.into();
    }
    if let Some(licence) = &package.licence {
        // An expression must be one of SPDX; what is none has a name only.
        let simple = licence.bytes().all(|b| b.is_ascii_alphanumeric() || b" -.+()".contains(&b));
        component["licenses"] = if simple && !licence.starts_with("SEE LICENSE") && licence != "UNLICENSED" {
            json!([{ "expression": licence }])
        } else {
            json!([{ "license": { "name": licence } }])
        };
    }
    let hashes: Vec<Value> = integrity.unwrap_or_default().split_whitespace().filter_map(hash).collect();
    if !hashes.is_empty() {
        component["hashes"] = hashes.into();
    }
    component
}

/// One hash of a Subresource Integrity string. <https://www.w3.org/TR/sri-2/>
fn hash(integrity: &str) -> Option<Value> {
    let (algorithm, digest) = integrity.split_once('-')?;
    let name = match algorithm {
        "sha512" => "SHA-512",
        "sha384" => "SHA-384",
        "sha256" => "SHA-256",
        "sha1" => "SHA-1",
        _ => return None,
    };
    let digest = base64::engine::general_purpose::STANDARD.decode(digest).ok()?;
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(json!({ "alg": name, "content": hex }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_folder_of_a_package() {
        let check =
            |file: &str, wanted: Option<&str>| assert_eq!(folder_of(Path::new(file)), wanted.map(PathBuf::from));
        check("/p/src/a.js", None);
        check("/p/node_modules/a/index.js", Some("/p/node_modules/a"));
        check("/p/node_modules/@s/a/lib/x.js", Some("/p/node_modules/@s/a"));
        check("/p/node_modules/a/node_modules/b/x.js", Some("/p/node_modules/a/node_modules/b"));
        check("/p/node_modules/.pnpm/a@1/node_modules/a/x.js", Some("/p/node_modules/.pnpm/a@1/node_modules/a"));
        check("/p/node_modules/a.js", None);
    }

    fn project(lock: Option<(&str, &str)>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("creates");
            std::fs::write(path, text).expect("writes");
        };
        write("node_modules/a/package.json", r#"{"name":"a","version":"1.2.3","license":"MIT"}"#);
        write("node_modules/@s/b/package.json", r#"{"name":"@s/b","version":"0.1.0+x"}"#);
        if let Some((name, text)) = lock {
            write(name, text);
        }
        folder
    }

    fn of(folder: &tempfile::TempDir) -> Result<(Value, Vec<BuildWarning>), BuildError> {
        let package = Package { name: "app".into(), version: "1.0.0".into(), file: None };
        let files = ["node_modules/a/x.js", "node_modules/a/y.js", "node_modules/@s/b/x.js", "src/index.js"];
        make(&package, &files.map(|file| folder.path().canonicalize().expect("it is there").join(file)))
    }

    #[test]
    fn lists_packages_with_integrity() {
        let lock = r#"{"lockfileVersion":3,"packages":{"":{},
            "node_modules/a":{"version":"1.2.3","integrity":"sha256-AAEC sha1-Aw=="},
            "node_modules/@s/b":{"version":"0.1.0+x"}}}"#;
        let (document, warnings) = of(&project(Some(("package-lock.json", lock)))).expect("they match");
        assert!(warnings.is_empty(), "{warnings:?}");
        let components = document["components"].as_array().expect("a list");
        assert_eq!(components.len(), 2);
        assert_eq!((&components[0]["group"], &components[0]["name"]), (&"@s".into(), &"b".into()));
        assert_eq!(components[0]["purl"], "pkg:npm/%40s/b@0.1.0%2Bx");
        assert_eq!(components[0].get("hashes"), None);
        assert_eq!(
            components[1],
            json!({
                "type": "library", "bom-ref": "pkg:npm/a@1.2.3", "name": "a", "version": "1.2.3",
                "purl": "pkg:npm/a@1.2.3",
                "licenses": [{ "expression": "MIT" }],
                "hashes": [{ "alg": "SHA-256", "content": "000102" }, { "alg": "SHA-1", "content": "03" }],
            })
        );
    }

    #[test]
    fn compares_what_the_source_says() {
        let document = json!({ "components": [
            { "name": "lodash", "version": "4.17.21" },
            { "group": "@s", "name": "b", "version": "1.2.0" },
        ] });
        let check = |dependencies: &[&str]| {
            let dependencies: Vec<String> = dependencies.iter().map(|&name| name.to_owned()).collect();
            compare(&dependencies, &document).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["lodash@4.17.21", "@s/b@^1.1.0", "lodash@4"]), Ok(()));
        for (dependency, wanted) in [
            ("lodash@4.17.20", "lodash 4.17.21 is bundled"),
            ("@s/b@2", "@s/b 1.2.0 is bundled"),
            ("zod@4.0.0", "zod is not in the component"),
        ] {
            let error = check(&[dependency]).expect_err(dependency);
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn refuses_what_the_lockfile_does_not_say() {
        let failed = |text: &str| {
            let error = of(&project(Some(("package-lock.json", text)))).expect_err("they differ");
            assert_eq!(error.code(), "lockfile-mismatch");
            error.render(false)
        };
        let other = r#"{"lockfileVersion":3,"packages":{
            "node_modules/a":{"version":"1.2.4"},"node_modules/@s/b":{"version":"0.1.0+x"}}}"#;
        let said = failed(other);
        assert!(said.contains("a 1.2.3 is installed") && said.contains("1.2.4") && said.contains("npm ci"), "{said}");
        let missing = r#"{"lockfileVersion":2,"packages":{"node_modules/a":{"version":"1.2.3"}}}"#;
        assert!(failed(missing).contains("@s/b 0.1.0+x is installed"));
        assert!(failed(r#"{"lockfileVersion":1,"dependencies":{}}"#).contains("version 1"));
        assert!(failed("nonsense").contains("cannot be read"));
    }

    #[test]
    fn warns_where_nothing_is_locked() {
        for (lock, wanted) in [
            (None, "a lockfile with the integrity"),
            (Some(("pnpm-lock.yaml", "lockfileVersion: '9.0'")), "pnpm-lock.yaml is not read"),
            (Some(("yarn.lock", "")), "yarn.lock is not read"),
            (Some(("bun.lock", "{}")), "bun.lock is not read"),
        ] {
            let (document, warnings) = of(&project(lock)).expect("it is not an error");
            assert_eq!(document["components"].as_array().map(Vec::len), Some(2));
            assert!(warnings[0].render(false).contains(wanted), "{}", warnings[0].render(false));
        }
    }
}

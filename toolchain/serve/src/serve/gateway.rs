//! `[gateway]` of a project that is served without a platform: its routes, rules and files.

use elias_command_line::{CliErrorCode, Failure};
use elias_gateway::assets::{AssetError, is_hidden};
use elias_gateway::{ConfigError, GatewayConfig};
use elias_host::App;
use elias_project::files::{self, FilesError};
use elias_server::{LocalGateway, LocalGatewayError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The table as a server follows it.
pub(crate) struct FollowedGateway {
    /// Whether the server was told to apply it.
    is_applied: bool,
    config: Option<GatewayConfig>,
    rules: Option<Arc<LocalGateway>>,
    watched: Vec<PathBuf>,
}

impl FollowedGateway {
    /// Reads the table `[gateway]` of the elias.toml in `folder`, if there is one and it is to be applied.
    ///
    /// # Errors
    /// `invalid-gateway-config`; `config` for a rule that only a platform can apply, with its key, and for a folder
    /// that is not there; `route-conflict` and its like; `invalid-asset`, `bad-file`, `io` for files.
    pub(crate) fn read(is_applied: bool, table: Option<&Value>, folder: &Path) -> Result<Self, Failure> {
        let mut gateway = Self { is_applied, config: None, rules: None, watched: Vec::new() };
        gateway.update(table, folder)?;
        Ok(gateway)
    }

    /// Reads it again. The state of its rules goes on.
    ///
    /// # Errors
    /// As [`FollowedGateway::read`]; then nothing has changed.
    pub(crate) fn update(&mut self, table: Option<&Value>, folder: &Path) -> Result<(), Failure> {
        let Some(table) = table.filter(|_| self.is_applied) else {
            (self.config, self.rules, self.watched) = (None, None, Vec::new());
            return Ok(());
        };
        let config = GatewayConfig::parse(table).map_err(|error| Failure::new(ConfigError::CODE, error))?;
        let (files, folders) = files_of(&config, folder)?;
        let rules = LocalGateway::new(&config, &files, self.rules.as_deref()).map_err(|error| of_rules(&error))?;
        // A folder is followed for a file in it. One that is empty so far has none: any name will do.
        let in_folders = folders.into_iter().flat_map(|folder| [folder.join("*"), folder]);
        self.config = Some(config);
        (self.rules, self.watched) = (Some(Arc::new(rules)), files.into_values().chain(in_folders).collect());
        Ok(())
    }

    /// The rules that requests meet, if there are any.
    pub(crate) fn rules(&self) -> Option<Arc<LocalGateway>> {
        self.rules.clone()
    }

    /// Warns if a route is to a class of workers that a component does not export.
    pub(crate) fn warn_of_workers(&self, app: &App) {
        let (Some(config), Some(manifest)) = (&self.config, app.manifest()) else { return };
        if let Err(error) = config.check_worker_classes(&manifest.workers) {
            tracing::warn!("{}", Failure::new(ConfigError::CODE, error));
        }
    }

    /// The files and folders that have to be read again if they change, or if files come or go beside them.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        &self.watched
    }
}

/// The files that the routes serve, by their path from the folder on; and the folders that they are in.
fn files_of(config: &GatewayConfig, folder: &Path) -> Result<(BTreeMap<String, PathBuf>, Vec<PathBuf>), Failure> {
    let (mut found, mut folders) = (BTreeMap::new(), Vec::new());
    let Some(assets) = config.assets().map(|rules| folder.join(rules.folder())) else { return Ok((found, folders)) };
    if !assets.is_dir() {
        let message = format!("[gateway.assets] folder: the folder {} does not exist", assets.display());
        let help = "the path is relative to the folder of elias.toml: create the folder, or name another one";
        return Err(Failure::new(CliErrorCode::Config, message).help(help));
    }
    let walked = files::walk(&assets, "", files::DEPTH_MAX, &is_hidden, &|_| true, &mut found);
    walked.map_err(|error| match error {
        FilesError::Io { .. } => Failure::new(CliErrorCode::Io, error),
        FilesError::BadFile { .. } => Failure::new(CliErrorCode::BadFile, error).help("rename, copy or remove it"),
    })?;
    add_folders(assets, files::DEPTH_MAX, &mut folders);
    Ok((found, folders))
}

/// Adds a folder and those in it, but for hidden ones. What cannot be read any more has gone meanwhile.
fn add_folders(folder: PathBuf, depth: usize, folders: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if !is_hidden(&entry.file_name().to_string_lossy()) {
            add_folders(entry.path(), depth - 1, folders);
        }
    }
    folders.push(folder);
}

/// Whether a rule of the table is not applied: responses are cached on a platform alone.
pub(crate) fn leaves_out_cache(table: &Value) -> bool {
    GatewayConfig::parse(table).is_ok_and(|config| config.routes.iter().any(|route| route.rules.cache.is_some()))
}

fn of_rules(error: &LocalGatewayError) -> Failure {
    match error {
        LocalGatewayError::NeedsPlatform { .. } => Failure::new(CliErrorCode::Config, error)
            .help("deploy it to a platform: elias serve --platform; or serve it without any rule: --no-gateway"),
        LocalGatewayError::Route(route) => Failure::new(route.code(), error),
        LocalGatewayError::Asset(_) => Failure::new(AssetError::CODE, error),
        LocalGatewayError::Io { .. } => Failure::new(CliErrorCode::Io, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(table: &Value, folder: &Path) -> Result<FollowedGateway, Failure> {
        FollowedGateway::read(true, Some(table), folder)
    }

    #[test]
    fn files_are_those_that_a_deployment_would_upload() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let table = json!({ "assets": { "folder": "public" } });
        let error = read(&table, folder).err().expect("no folder").to_string();
        assert!(error.contains("[gateway.assets]"), "{error}");
        for name in ["public/a/b.css", "public/.env", "public/.git/config", "other.txt"] {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            std::fs::write(path, name).expect("written");
        }
        let mut gateway = read(&table, folder).unwrap_or_else(|failure| panic!("{failure}"));
        let watched = |gateway: &FollowedGateway, name: &str| gateway.watched().contains(&folder.join(name));
        assert!(["public/a/b.css", "public/a", "public/*"].iter().all(|name| watched(&gateway, name)));
        assert!(!watched(&gateway, "public/.env") && !watched(&gateway, "public/.git"));
        std::os::unix::fs::symlink(folder, folder.join("public/all")).expect("a link");
        assert!(gateway.update(Some(&table), folder).is_err(), "a loop");
        assert!(gateway.rules().is_some() && watched(&gateway, "public/a/b.css"), "what was read before goes on");
        gateway.update(None, folder).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(gateway.rules().is_none() && gateway.watched().is_empty());
    }

    #[test]
    fn what_needs_a_platform_is_a_failure_that_names_the_way_out() {
        let table = json!({ "routes": [{ "path": "/a", "middleware": [{ "component": "auth" }] }] });
        let failure = read(&table, Path::new("")).err().expect("a failure").to_string();
        assert!(failure.contains("`middleware`") && failure.contains("--no-gateway"), "{failure}");
        let without = FollowedGateway::read(false, Some(&table), Path::new(""));
        assert!(without.is_ok_and(|gateway| gateway.rules().is_none()));
        let wrong = read(&json!({ "cros": {} }), Path::new("")).err().expect("a failure").to_string();
        assert!(wrong.contains("invalid-gateway-config"), "{wrong}");
        assert!(leaves_out_cache(&json!({ "cache": {} })));
        assert!(!leaves_out_cache(&json!({ "headers": {} })));
    }
}

//! Following changes: build and load again, and exchange what is served.

use super::gateway::FollowedGateway;
use crate::changes::FileChanges;
use crate::failure;
use crate::origin::Origin;
use crate::settings::Settings;
use crate::triggers;
use crate::webhooks::ProjectWebhooks;
use crate::worker_events::WorkerEvents;
use crate::workers::FormerVersions;
use elias_command_line::{CliErrorCode, Failure};
use elias_host::{Grants, Host, Limits, LoadOptions};
use elias_local_triggers::RunningTriggers;
use elias_local_workers::RunningWorkers;
use elias_server::AppSource;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The configuration that is followed: grants, triggers and the gateway can change while the server runs, its limits
/// cannot.
pub(crate) struct Configuration {
    file: PathBuf,
    /// Those that the file and the flags gave at the start, and the table `[workers]`.
    of_file: (Limits, Option<Value>),
    /// The table `[triggers]` and the grants as they were last read.
    known: (Option<Value>, Grants),
    /// What runs by them.
    triggers: FollowedTriggers,
    /// The rules of `[gateway]` as they were last read.
    gateway: FollowedGateway,
}

impl Configuration {
    /// The configuration in `file`, which need not be there. `gateway` and `triggers` are configured when it changes.
    pub(crate) fn new(file: PathBuf, gateway: FollowedGateway, triggers: FollowedTriggers) -> Result<Self, Failure> {
        let file = std::path::absolute(&file).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
        let settings = read(&file)?;
        let known = (settings.triggers, settings.grants);
        let of_file = (settings.limits, settings.service_workers);
        Ok(Self { file, of_file, known, triggers, gateway })
    }

    /// Reads the file again: the grants that hold now. Its triggers, if they have changed, hold from now on, and so do
    /// the rules and files of its gateway, once they are served.
    fn read(&mut self) -> Result<Grants, Failure> {
        let settings = read(&self.file)?;
        let folder = self.file.parent().unwrap_or(Path::new("")).to_owned();
        self.gateway.update(settings.gateway.as_ref(), &folder)?;
        let FollowedTriggers { running, webhooks, worker_events } = &self.triggers;
        let grants = settings.grants;
        if (&settings.triggers, &grants) != (&self.known.0, &self.known.1) {
            triggers::configure(running, webhooks, settings.triggers.as_ref(), &grants, &folder)?;
            worker_events.set_grant(grants.get("events"));
            self.known = (settings.triggers, grants.clone());
        }
        let of_file = (settings.limits, settings.service_workers);
        if of_file != self.of_file {
            let file = self.file.display();
            tracing::warn!("limits or [workers] in {file} have changed: start again for them to hold");
            self.of_file = of_file;
        }
        Ok(grants)
    }
}

fn read(file: &Path) -> Result<Settings, Failure> {
    Settings::read(file.is_file().then_some(file))
}

/// The triggers of what is served, and what is sent and published by its grants.
pub(crate) struct FollowedTriggers {
    pub(crate) running: Arc<RunningTriggers>,
    pub(crate) webhooks: Arc<ProjectWebhooks>,
    pub(crate) worker_events: Arc<WorkerEvents>,
}

/// The workers of what is served, and the versions from which they are moved to it.
pub(crate) struct FollowedWorkers {
    pub(crate) running: Arc<RunningWorkers>,
    pub(crate) former: FormerVersions,
}

impl FollowedWorkers {
    /// Has the workers go on in the version that is served now. The former ones are kept until all do.
    fn move_to_it(&self) {
        self.running.reload();
        let (running, former, versions) = (Arc::clone(&self.running), self.former.clone(), self.former.list());
        tokio::spawn(async move {
            match running.move_all().await {
                Ok(0) => former.forget(&versions),
                Ok(workers) => tracing::debug!(workers, "workers are not moved to the new version"),
                Err(error) => tracing::warn!("workers are moved when they are called: {error}"),
            }
        });
    }
}

/// Serves the last version of an origin that could be loaded.
pub(crate) struct Follower {
    origin: Origin,
    host: Host,
    config: Configuration,
    given: LoadOptions,
    source: AppSource,
    changes: FileChanges,
    /// Told when another component is served.
    workers: FollowedWorkers,
    /// SHA-256 of what is served, and what that is granted.
    served: Option<(String, Grants)>,
}

impl Follower {
    /// Loads for the first time. If that fails, the next save may mend it.
    pub(crate) async fn start(
        origin: Origin,
        host: Host,
        config: Configuration,
        given: LoadOptions,
        source: AppSource,
        workers: FollowedWorkers,
    ) -> Result<Self, Failure> {
        let changes = FileChanges::new()?;
        let mut follower = Self { origin, host, config, given, source, changes, workers, served: None };
        follower.watch(BTreeSet::from([follower.origin.file().to_owned()]))?;
        follower.load().await;
        Ok(follower)
    }

    /// Loads again at every change; until that goes well the last good version serves.
    pub(crate) async fn follow(mut self) {
        while self.changes.next().await.is_some() {
            self.load().await;
        }
    }

    async fn load(&mut self) {
        loop {
            let (started, start) = (SystemTime::now(), Instant::now());
            let loaded = match self.config.read() {
                Ok(grants) => {
                    self.given.grants = grants;
                    self.origin.load(&self.host, &self.given).await
                }
                Err(failure) => Err(failure),
            };
            match loaded {
                Ok((app, files)) => {
                    triggers::warn_of_handlers(&self.config.triggers.running, &app);
                    self.config.gateway.warn_of_workers(&app);
                    self.source.set_gateway(self.config.gateway.rules());
                    let version = (app.digest().to_owned(), self.given.grants.clone());
                    if self.served.as_ref() == Some(&version) {
                        self.source.settle();
                    } else {
                        let milliseconds = start.elapsed().as_millis() as u64;
                        let (component, digest) = (app.name(), app.digest());
                        tracing::info!(component, digest, milliseconds, "serving the new version");
                        self.served = Some(version);
                        if let Some(former) = self.source.current() {
                            self.workers.former.keep(former);
                        }
                        self.source.swap(app);
                        self.workers.move_to_it();
                    }
                    // A file that was saved before its folder was watched gave no event.
                    let stale =
                        |file: &PathBuf| file.metadata().and_then(|now| now.modified()).is_ok_and(|at| at > started);
                    match self.watch(files.clone()) {
                        Ok(true) if files.iter().chain(self.config.gateway.watched()).any(stale) => continue,
                        Ok(_) => {}
                        Err(failure) => drop(failure::report(&failure)),
                    }
                }
                Err(failure) => {
                    failure::report(&failure);
                    self.source.explain(failure.page());
                    if self.served.is_some() {
                        tracing::warn!("the last working version keeps serving");
                    }
                }
            }
            return;
        }
    }

    /// Watches these files and the configuration; says whether there are new folders.
    fn watch(&mut self, mut files: BTreeSet<PathBuf>) -> Result<bool, Failure> {
        files.insert(self.config.file.clone());
        files.extend(self.config.gateway.watched().iter().cloned());
        self.changes.follow(files)
    }
}

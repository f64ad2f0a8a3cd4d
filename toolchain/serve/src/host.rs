//! The host: with capabilities, the engine and the limits of the settings.

use crate::failure;
use crate::settings::Settings;
use elias_capabilities::outbox::OutboxRelay;
use elias_capabilities::{Events, Flags, Jobs, Workers, Workflow};
use elias_command_line::Failure;
use elias_host::{Host, HostBuilder};
use elias_local_triggers::LocalTriggers;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Instances beyond those of requests, which have a permit each: for smoke tests, which have none.
const INSTANCES_SPARE: u32 = 16;

/// How many guests run at a time.
pub(crate) fn guest_threads(settings: &Settings) -> u32 {
    settings.workers.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(cores).unwrap_or(u32::MAX)
    })
}

/// A host to be, with all capabilities. Feature flags are those of the component's own table. Jobs and events go into
/// memory, and nothing runs them, nor service workers.
pub(crate) fn with_idle_triggers(settings: &Settings, data_dir: PathBuf) -> Result<HostBuilder, Failure> {
    let triggers = LocalTriggers::builder().build().map_err(|error| Failure::new("bad-configuration", error))?;
    let builder = builder(settings, data_dir, triggers.outbox());
    Ok(with_triggers(builder, triggers.jobs(), triggers.events())
        .capability(Workers::unavailable())
        .capability(Flags::local()))
}

/// The host to be, with the capabilities of triggers too.
pub(crate) fn with_triggers(host: HostBuilder, jobs: Jobs, events: Events) -> HostBuilder {
    host.capability(jobs).capability(events).capability(Workflow)
}

/// The capability `db`.
pub(crate) fn database(settings: &Settings, data_dir: PathBuf, outbox: Arc<dyn OutboxRelay>) -> elias_capabilities::Db {
    let database = elias_capabilities::Db::new(data_dir).outbox(outbox);
    match settings.postgres_connections {
        Some(most) => database.postgres_connections(most),
        None => database,
    }
}

/// The instances of a host: those of requests, and a few more.
pub(crate) fn instances(settings: &Settings) -> u32 {
    settings.instances.unwrap_or(settings.limits.concurrent_executions).saturating_add(INSTANCES_SPARE)
}

/// The builder of a host with all capabilities but those of triggers and workers. `outbox` hands over what components
/// write into the outboxes of their databases.
pub(crate) fn builder(settings: &Settings, data_dir: PathBuf, outbox: Arc<dyn OutboxRelay>) -> HostBuilder {
    builder_with(settings, database(settings, data_dir, outbox))
}

/// The same with a capability `db` that was made already.
pub(crate) fn builder_with(settings: &Settings, database: elias_capabilities::Db) -> HostBuilder {
    Host::builder()
        .limits(settings.limits.clone())
        .instances(instances(settings))
        .idle(settings.idle)
        .cores(guest_threads(settings))
        .engine(elias_build::engine::ENGINE)
        .base(elias_build::engine::BASE)
        .capability(elias_capabilities::Cache::new())
        .capability(elias_capabilities::Config)
        .capability(elias_capabilities::Crypto)
        .capability(database)
        .capability(elias_capabilities::Http)
        .capability(elias_capabilities::Log)
}

/// The host, with compiled code kept in the folder `cache`.
pub(crate) fn build(mut host: HostBuilder, cache: Option<&Path>) -> Result<Host, Failure> {
    if let Some(cache) = cache {
        host = host.cache_dir(cache);
    }
    host.build().map_err(|error| {
        let failure = failure::of_host(error);
        if cache.is_some() {
            failure.help("name another folder with --cache-dir, or go without one with --no-cache")
        } else {
            failure
        }
    })
}

//! `elias serve` and `elias dev`: a component, over HTTP.

mod gateway;
mod nats;
mod nine_p;
mod platform;
mod shutdown;
mod watch;

use crate::data::DATA_DIR;
use crate::development::{DevelopedProject, RecordingObserver, Records};
use crate::origin::Origin;
use crate::settings::Settings;
use crate::triggers::LocalTriggerControl;
use crate::webhooks::ProjectWebhooks;
use crate::worker_events::WorkerEvents;
use crate::worker_messages::ProjectWorkers;
use crate::workers::{self, FormerVersions, Heaps};
use crate::{failure, host, logging, service_tables, triggers, types};
use elias_build::command::cache_dir;
use elias_capabilities::Flags;
use elias_command_line::{CliErrorCode, DevArguments, Failure, ServeArguments, ServerArguments};
use elias_host::{LoadOptions, Observer};
use elias_local_triggers::ComponentSource;
use elias_local_workers::ComponentSource as WorkerSource;
use elias_project::{CONFIG_FILE, DEV_URL_FILE, Project, dotenv, is_source};
use elias_server::{AppSource, ServeError, Server, reachable};
use gateway::FollowedGateway;
use shutdown::warn_of_cut;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watch::{Configuration, FollowedTriggers, FollowedWorkers, Follower};

/// For so many threads on which guests run there is one, and one at least, that they never have: connections, timers
/// and the admin API go on whatever the guests do. The system gives such a thread a core when it has something to do,
/// for it mostly sleeps.
const HOST_SHARE: u32 = 8;

/// The folder of a project's data directory in which a development server keeps workers.
const WORKERS_DIR: &str = "workers";

/// How long turns of workers may go on when the server stops.
const WORKERS_GRACE: Duration = Duration::from_secs(10);

/// The file or platform that is served, and its options.
struct Serving {
    /// A component or a source; nothing for a platform.
    file: PathBuf,
    /// The configuration, which need not be there unless it was named.
    config: PathBuf,
    data_dir: PathBuf,
    /// Where the heaps of workers are kept.
    heaps: Heaps,
    dev: bool,
    watch: bool,
    server: ServerArguments,
}

/// Serves until a signal says to stop, and then until the requests in flight have ended.
///
/// # Errors
/// Whatever keeps the server from starting.
pub(crate) fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let ServeArguments { file, dev, watch, workers_dir, platform, server } = arguments;
    let config = server.config.clone().unwrap_or_else(|| CONFIG_FILE.into());
    let data_dir = server.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    let heaps = workers_dir.map_or(Heaps::Memory, Heaps::Folder);
    let serving = Serving { file: file.unwrap_or_default(), config, data_dir, heaps, dev, watch, server };
    if platform.platform {
        if serving.server.no_gateway {
            return Err(Failure::new(CliErrorCode::BadInput, "--no-gateway: a platform always applies [gateway]"));
        }
        let (data_dir, cache) = (serving.data_dir.clone(), serving.cache());
        return start(&serving, async |settings| {
            let nats = nats::config(settings.nats.as_ref(), serving.config.parent().unwrap_or(Path::new("")))?;
            platform::run(&platform, &data_dir, cache.as_deref(), settings, nats).await
        });
    }
    take_dotenv(serving.config.parent().unwrap_or(Path::new("")))?;
    start(&serving, async |settings| run(&serving, settings).await)
}

/// Builds and serves a project, and follows its changes.
///
/// # Errors
/// Whatever keeps the server from starting; a source that does not build is not among that.
pub(crate) fn dev(arguments: DevArguments) -> Result<(), Failure> {
    let DevArguments { entry, server, .. } = arguments;
    let project = Project::find(None, entry.as_deref(), server.config.as_deref()).map_err(failure::of_build)?;
    let file = project.entry(entry.as_deref()).map_err(failure::of_build)?;
    // Editors use the types; serving goes on without.
    let _ = types::write(&project);
    let config = project.config.unwrap_or_else(|| project.root.join(CONFIG_FILE));
    let data_dir = server.data_dir.clone().unwrap_or_else(|| project.root.join(DATA_DIR));
    let heaps = Heaps::Development(data_dir.join(WORKERS_DIR));
    let serving = Serving { file, config, data_dir, heaps, dev: true, watch: true, server };
    take_dotenv(&project.root)?;
    start(&serving, async |mut settings| {
        // Another project may be served already; where the port was chosen, that is an error.
        let chosen = serving.server.listen.is_some() || settings.server.listen != Settings::default().server.listen;
        if !chosen {
            settings.server.listen = free_address(&settings.server.listen);
        }
        let _compiler = types::watch(&project.root);
        run(&serving, settings).await
    })
}

/// Takes what `.env` files of a folder say into the environment, where that does not say it already. For development: a
/// platform's secrets are in its vault.
fn take_dotenv(folder: &Path) -> Result<(), Failure> {
    for (name, value) in dotenv::read(folder).map_err(failure::of_build)? {
        if std::env::var_os(&name).is_none() && !value.contains('\0') {
            // SAFETY: no other thread has been started yet.
            unsafe { std::env::set_var(name, value) };
        }
    }
    Ok(())
}

/// The address with the first port from its own upwards that is free; the address itself if none of ten is.
fn free_address(address: &str) -> String {
    let Some((host, port)) = address.rsplit_once(':') else { return address.to_owned() };
    let Ok(port) = port.parse::<u16>() else { return address.to_owned() };
    let free = |port: &u16| std::net::TcpListener::bind((host, *port)).is_ok();
    match (port..port.saturating_add(10)).find(free) {
        Some(found) => {
            if found != port {
                eprintln!("port {port} is taken; --listen or `listen` in elias.toml choose another");
            }
            format!("{host}:{found}")
        }
        None => address.to_owned(),
    }
}

/// Reads the settings, and runs what serves by them.
fn start(serving: &Serving, run: impl AsyncFnOnce(Settings) -> Result<(), Failure>) -> Result<(), Failure> {
    let settings = settings(serving)?;
    let _logging = logging::start(serving.server.log_format);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let guests = host::guest_threads(&settings);
    runtime.worker_threads((guests + (guests / HOST_SHARE).max(1)) as usize);
    let runtime = runtime.enable_all().build().map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    runtime.block_on(run(settings))
}

/// Defaults, then the file, then the flags.
fn settings(serving: &Serving) -> Result<Settings, Failure> {
    let arguments = &serving.server;
    let there = arguments.config.is_some() || serving.config.is_file();
    let mut settings = Settings::read(there.then_some(&serving.config))?;
    settings.apply(&arguments.limits)?;
    if let Some(listen) = &arguments.listen {
        settings.server.listen.clone_from(listen);
    }
    settings.server.dev = serving.dev;
    settings.server.request_bytes = settings.limits.request_bytes;
    settings.server.concurrent_executions = settings.limits.concurrent_executions;
    Ok(settings)
}

async fn run(serving: &Serving, settings: Settings) -> Result<(), Failure> {
    for table in &settings.platform_tables {
        tracing::warn!("[{table}] in {} is not applied: only a platform does that", serving.config.display());
    }
    if settings.nats.is_some() {
        tracing::warn!("[nats] in {} is not applied: only a platform does that", serving.config.display());
    }
    let cache = serving.cache();
    let folder = serving.config.parent().unwrap_or(Path::new(""));
    let gateway = FollowedGateway::read(!serving.server.no_gateway, settings.gateway.as_ref(), folder)?;
    warn_of_gateway(serving, &settings);
    let (webhooks, targets) = (Arc::new(ProjectWebhooks::default()), Arc::new(ProjectWorkers::default()));
    let records = serving.dev.then(|| Arc::new(Records::new()));
    let senders = (&webhooks, &targets);
    let triggers = triggers::prepare(settings.triggers.as_ref(), senders, &settings.grants, folder, records.as_ref())?;
    let host = host::builder(&settings, serving.data_dir.clone(), triggers.outbox());
    let host = host.instances(host::instances(&settings).saturating_add(workers::AWAKE));
    let config = service_tables::workers(settings.service_workers.as_ref())?;
    let source = AppSource::empty();
    let events = Arc::new(WorkerEvents::new(triggers.log(), source.clone()));
    events.set_grant(settings.grants.get("events"));
    let workers = workers::prepare(&serving.heaps, serving.watch, &config, &events)?;
    let host = host::with_triggers(host, triggers.jobs(), triggers.events()).capability(workers.capability());
    let host = host.capability(Flags::local());
    let host = host::build(host, cache.as_deref())?;
    let origin = Origin::of(&serving.file, &serving.config, cache)?;
    if !serving.watch && is_source(&serving.file) {
        let help = "build it first with `elias build`, or use `elias dev` to build and serve it";
        return Err(Failure::new(
            CliErrorCode::BadComponent,
            format_args!("{} is a source file", serving.file.display()),
        )
        .help(help));
    }
    let observer = match &records {
        None => triggers.observer(),
        Some(records) => Arc::new(RecordingObserver { records: Arc::clone(records), other: triggers.observer() })
            as Arc<dyn Observer>,
    };
    let given = LoadOptions {
        grants: settings.grants,
        folder: folder.to_owned(),
        observer: Some(observer),
        ..LoadOptions::default()
    };
    let (served, former) = (source.clone(), FormerVersions::default());
    let versions = former.clone();
    let of_workers = WorkerSource::with_former(move || served.current(), move || versions.list());
    let workers = workers.start(of_workers).await;
    let workers = workers.map_err(|error| workers::failure(&serving.heaps.folder(), &error))?;
    let workers = Arc::new(workers);
    targets.bind(&workers);
    let served = source.clone();
    let triggers = Arc::new(triggers.start(ComponentSource::new(move || served.current())));
    let source = source.with_triggers(Arc::new(LocalTriggerControl(Arc::clone(&triggers))));
    let source = source.with_workers(Arc::clone(&workers));
    let source = match records {
        Some(records) => {
            let project = DevelopedProject { triggers: Arc::clone(&triggers), source: source.clone(), records };
            source.with_project(Arc::new(project))
        }
        None => source,
    };
    let follower = if serving.watch {
        let followed = FollowedTriggers { running: Arc::clone(&triggers), webhooks, worker_events: events };
        let config = Configuration::new(serving.config.clone(), gateway, followed)?;
        let followed = FollowedWorkers { running: Arc::clone(&workers), former };
        Some(Follower::start(origin, host, config, given, source.clone(), followed).await?)
    } else {
        let app = origin.load(&host, &given).await?.0;
        triggers::warn_of_handlers(&triggers, &app);
        gateway.warn_of_workers(&app);
        source.set_gateway(gateway.rules());
        source.swap(app);
        // Those of supervision trees start.
        workers.reload();
        None
    };
    let server =
        Server::bind(settings.server, source.clone()).await.map_err(|error| of_listening(&error, "--listen"))?;
    announce(serving, &source, server.local_addr(), !triggers.config().is_empty());
    let _url = serving.dev.then(|| UrlFile::write(&serving.data_dir, server.local_addr()));
    if let Some(follower) = follower {
        tokio::spawn(follower.follow());
    }
    warn_of_cut(&server.run(shutdown::signal()).await);
    let undone = workers.stop(WORKERS_GRACE).await;
    if undone > 0 {
        tracing::warn!(turns = undone, "turns of workers had not ended, and are undone");
    }
    Ok(())
}

/// Says which rules of `[gateway]` do not hold.
fn warn_of_gateway(serving: &Serving, settings: &Settings) {
    let (Some(table), config) = (&settings.gateway, serving.config.display()) else { return };
    if serving.server.no_gateway {
        tracing::warn!("[gateway] in {config} is not applied, for the server was started with --no-gateway");
    } else if gateway::leaves_out_cache(table) {
        tracing::warn!("the rule cache of [gateway] in {config} is not applied: only a platform caches responses");
    }
}

/// The failure to listen, with the flag that chooses another address.
fn of_listening(error: &ServeError, flag: &str) -> Failure {
    let failure = Failure::new(error.code(), error);
    match error {
        ServeError::AddressInUse(_) => failure.help(format!("choose another with {flag}, such as {flag} 127.0.0.1:0")),
        _ => failure,
    }
}

impl Serving {
    /// Where compiled code is kept, if it is.
    fn cache(&self) -> Option<PathBuf> {
        let arguments = &self.server;
        if arguments.no_cache { None } else { cache_dir(arguments.cache_dir.as_deref()) }
    }
}

/// A file with the URL of a development server, for `elias trigger`, as long as the server runs.
struct UrlFile(PathBuf);

impl UrlFile {
    fn write(data_dir: &Path, address: SocketAddr) -> Self {
        let file = data_dir.join(DEV_URL_FILE);
        let url = format!("http://{}\n", reachable(address));
        // Beside it are the component's databases.
        let mut folder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(folder.recursive(true), 0o700);
        if let Err(error) = folder.create(data_dir).and_then(|()| std::fs::write(&file, url)) {
            tracing::warn!(%error, "{} cannot be written: give `elias trigger` the URL", file.display());
        }
        Self(file)
    }
}

impl Drop for UrlFile {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn announce(serving: &Serving, source: &AppSource, address: SocketAddr, has_triggers: bool) {
    let what = source.current().map_or_else(
        || serving.file.display().to_string(),
        |app| format!("{} {} ({})", app.name(), app.version(), &app.digest()[..12]),
    );
    let mut text = format!("serving {what} at http://{address}\n  curl http://{}/\n", reachable(address));
    if serving.dev {
        let _ = writeln!(text, "  console http://{}/__elias/", reachable(address));
    }
    let handlers = source.current().map(|app| app.handlers()).unwrap_or_default();
    if has_triggers || handlers.scheduled || handlers.job || handlers.event || handlers.events {
        text.push_str("triggers run in memory: they are lost when the process ends\n");
    }
    if handlers.worker {
        text.push_str(&serving.heaps.line());
    }
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        // Of a port at the very end there is no next one.
        let bound = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let port_of = |taken: &TcpListener| taken.local_addr().expect("an address").port();
        let taken = std::iter::repeat_with(bound).find(|taken| port_of(taken) < u16::MAX - 10).expect("one of many");
        let port = port_of(&taken);
        let found = free_address(&format!("127.0.0.1:{port}"));
        let next = found.strip_prefix("127.0.0.1:").and_then(|port| port.parse::<u16>().ok()).expect("an address");
        // Others may have all ten.
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        assert!((port + 1..port + 10).contains(&next) || !(port + 1..port + 10).any(is_free), "{found} after {port}");
        drop(taken);
        assert_eq!(free_address("no address"), "no address");
    }
}

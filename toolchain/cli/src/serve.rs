//! `elias serve` and `elias dev`: a component, over HTTP.

use crate::config_file;
use crate::failure::{Failure, failed};
use crate::logging::{self, LogFormat};
use crate::origin::Origin;
use crate::platform::{self, PlatformArguments};
use crate::settings::{SettingFlags, Settings};
use crate::types;
use crate::watch::{Configuration, Follower};
use clap::Args;
use elias_build::command::cache_dir;
use elias_build::config::CONFIG_FILE;
use elias_build::project::Project;
use elias_host::{Host, HostBuilder, LoadOptions};
use elias_server::{AppSource, Drained, Server};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where data is kept if nothing else is said.
const DATA_DIR: &str = ".elias";

/// For so many threads on which guests run there is one, and one at least, that they never have: connections, timers and the admin API go on
/// whatever the guests do. The system gives such a thread a core when it has something to do, for it mostly sleeps.
const HOST_SHARE: u32 = 8;

/// Instances beyond those of requests, which have a permit each: for smoke tests, which have none.
const INSTANCES_SPARE: u32 = 16;

/// The capabilities that components can be granted.
pub(crate) const CAPABILITIES: [&str; 5] = ["cache", "config", "db", "http", "log"];

/// What `serve` is told.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct ServeArguments {
    /// Component file, or source file with --watch; none with --platform
    #[arg(required_unless_present = "platform")]
    file: Option<PathBuf>,
    /// Show exceptions with stack traces in responses
    #[arg(long)]
    dev: bool,
    /// Reload the component, or rebuild the source, on changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    platform: PlatformArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// What `dev` is told.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct DevArguments {
    /// Entry module [default: `entry` of `[build]` in elias.toml, else src/index.ts or .js]
    entry: Option<PathBuf>,
    /// Rebuild and reload on changes: always on, accepted for scripts that state it
    #[arg(long = "watch")]
    _watch: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// How to serve.
#[derive(Debug, Args)]
struct ServerArguments {
    /// Address and port to listen on [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Configuration file [default: elias.toml, if present]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for the databases of components [default: .elias]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Directory for compiled code [default: $ELIAS_CACHE_DIR, else elias in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Do not cache compiled code
    #[arg(long)]
    no_cache: bool,
    /// Format of log lines [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    #[command(flatten)]
    limits: SettingFlags,
}

/// What is served, and how.
pub(crate) struct Serving {
    /// A component or a source; nothing for a platform.
    file: PathBuf,
    /// The configuration, which need not be there unless it was named.
    config: PathBuf,
    pub(crate) data_dir: PathBuf,
    dev: bool,
    watch: bool,
    server: ServerArguments,
}

/// Serves until a signal says to stop, and then until the requests in flight have ended.
///
/// # Errors
/// Whatever keeps the server from starting.
pub(crate) fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let ServeArguments { file, dev, watch, platform, server } = arguments;
    let config = server.config.clone().unwrap_or_else(|| CONFIG_FILE.into());
    let data_dir = server.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    let serving = Serving { file: file.unwrap_or_default(), config, data_dir, dev, watch, server };
    if platform.is_wanted() {
        return start(&serving, async |settings| platform::run(&serving, &platform, settings).await);
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
    let project = Project::find(None, entry.as_deref(), server.config.as_deref()).map_err(|error| failed(&error))?;
    let file = project.entry(entry.as_deref()).map_err(|error| failed(&error))?;
    // Editors use the types; serving goes on without.
    let _ = types::write(&project);
    let config = project.config.unwrap_or_else(|| project.root.join(CONFIG_FILE));
    let data_dir = server.data_dir.clone().unwrap_or_else(|| project.root.join(DATA_DIR));
    let serving = Serving { file, config, data_dir, dev: true, watch: true, server };
    take_dotenv(&project.root)?;
    start(&serving, async |mut settings| {
        // Another project may be served already; where the port was chosen, that is an error.
        let chosen = serving.server.listen.is_some() || settings.server.listen != Settings::default().server.listen;
        if !chosen {
            settings.server.listen = free_address(&settings.server.listen);
        }
        run(&serving, settings).await
    })
}

/// Takes what `.env` files of a folder say into the environment, where that does not say it already. For development: a
/// platform's secrets are in its vault.
fn take_dotenv(folder: &Path) -> Result<(), Failure> {
    for (name, value) in elias_build::dotenv::read(folder).map_err(|error| failed(&error))? {
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
    let guests = guest_threads(&settings);
    runtime.worker_threads((guests + (guests / HOST_SHARE).max(1)) as usize);
    let runtime = runtime.enable_all().build().map_err(|error| Failure::new("io", error))?;
    runtime.block_on(run(settings))
}

/// Defaults, then the file, then the flags.
fn settings(serving: &Serving) -> Result<Settings, Failure> {
    let arguments = &serving.server;
    let there = arguments.config.is_some() || serving.config.is_file();
    let mut settings = config_file::read(there.then_some(&serving.config))?;
    arguments.limits.apply(&mut settings).map_err(|message| Failure::new("config", message))?;
    if let Some(listen) = &arguments.listen {
        settings.server.listen.clone_from(listen);
    }
    settings.server.dev = serving.dev;
    settings.server.request_bytes = settings.limits.request_bytes;
    settings.server.concurrent_executions = settings.limits.concurrent_executions;
    Ok(settings)
}

async fn run(serving: &Serving, settings: Settings) -> Result<(), Failure> {
    let cache = serving.cache();
    let host = host(&settings, serving.data_dir.clone(), cache.as_deref())?;
    let origin = Origin::of(&serving.file, &serving.config, cache)?;
    if !serving.watch && origin.is_source() {
        let help = "build it first with `elias build`, or use `elias dev` to build and serve it";
        return Err(
            Failure::new("bad-component", format_args!("{} is a source file", serving.file.display())).help(help)
        );
    }
    let given = LoadOptions {
        grants: settings.grants,
        folder: serving.config.parent().unwrap_or(Path::new("")).to_owned(),
        ..LoadOptions::default()
    };
    let source = AppSource::empty();
    let follower = if serving.watch {
        let config = Configuration::new(serving.config.clone())?;
        Some(Follower::start(origin, host, config, given, source.clone()).await?)
    } else {
        source.swap(origin.load(&host, &given).await?.0);
        None
    };
    let server =
        Server::bind(settings.server, source.clone()).await.map_err(|error| Failure::new(error.code(), error))?;
    announce(&serving.file, &source, server.local_addr());
    if let Some(follower) = follower {
        tokio::spawn(follower.follow());
    }
    warn_of_cut(server.run(stop_signal()).await);
    Ok(())
}

pub(crate) fn warn_of_cut(drained: Drained) {
    if drained.cut > 0 {
        tracing::warn!(
            connections = drained.cut,
            "connections were forcibly closed at the end of the shutdown grace period"
        );
    }
}

impl Serving {
    /// Where compiled code is kept, if it is.
    pub(crate) fn cache(&self) -> Option<PathBuf> {
        let arguments = &self.server;
        if arguments.no_cache { None } else { cache_dir(arguments.cache_dir.as_deref()) }
    }
}

/// How many guests run at a time.
fn guest_threads(settings: &Settings) -> u32 {
    settings.workers.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(cores).unwrap_or(u32::MAX)
    })
}

/// A host with all capabilities.
pub(crate) fn host(settings: &Settings, data_dir: PathBuf, cache: Option<&Path>) -> Result<Host, Failure> {
    build(builder(settings, data_dir), cache)
}

fn database(settings: &Settings, data_dir: PathBuf) -> elias_capabilities::Db {
    let database = elias_capabilities::Db::new(data_dir);
    match settings.postgres_connections {
        Some(most) => database.postgres_connections(most),
        None => database,
    }
}

/// A host to be, with all capabilities.
pub(crate) fn builder(settings: &Settings, data_dir: PathBuf) -> HostBuilder {
    let instances = settings.instances.unwrap_or(settings.limits.concurrent_executions);
    Host::builder()
        .limits(settings.limits.clone())
        .instances(instances.saturating_add(INSTANCES_SPARE))
        .idle(settings.idle)
        .cores(guest_threads(settings))
        .engine(elias_build::engine::ENGINE)
        .base(elias_build::engine::BASE)
        .capability(elias_capabilities::Cache::new())
        .capability(elias_capabilities::Config)
        .capability(elias_capabilities::Crypto)
        .capability(database(settings, data_dir))
        .capability(elias_capabilities::Http)
        .capability(elias_capabilities::Log)
}

/// The host, with compiled code kept in the folder `cache`.
pub(crate) fn build(mut host: HostBuilder, cache: Option<&Path>) -> Result<Host, Failure> {
    if let Some(cache) = cache {
        host = host.cache_dir(cache);
    }
    host.build().map_err(|error| {
        let failure = Failure::from(error);
        if cache.is_some() {
            failure.help("name another folder with --cache-dir, or go without one with --no-cache")
        } else {
            failure
        }
    })
}

fn announce(file: &Path, source: &AppSource, address: SocketAddr) {
    let what = source.current().map_or_else(
        || file.display().to_string(),
        |app| format!("{} {} ({})", app.name(), app.version(), &app.digest()[..12]),
    );
    // A client on this machine reaches a server that listens everywhere by the loopback address.
    let reachable = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
        _ => address,
    };
    let text = format!("serving {what} at http://{address}\n  curl http://{reachable}/\n");
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be handled; the process can only be stopped with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down: requests in flight can finish, new ones are refused; a second signal stops at once");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        logging::flush();
        std::process::exit(130);
    });
}

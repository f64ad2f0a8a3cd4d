//! SQLite: a file per component, and a thread per connection.

mod connection;
mod cores;
mod error;
mod functions;
mod json_patch;
mod like;
mod memory;
mod migrations;
mod pool;
mod quick;
mod reads;
mod run;
mod search;
mod snippet;
mod watch;

#[cfg(test)]
mod tests;

use super::backend::Backend;
use super::bindings::Error;
use super::dialect::Dialect;
use super::grant::DbGrant;
use super::migrate::{Migrations, safe_name};
use super::output::{Caps, Output, Part};
use super::statement::Statement;
use super::transaction::{BeginOptions, Commands};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use connection::Settings;
use elias_host::capability::ConfigureError;
use futures::future::{BoxFuture, FutureExt};
use pool::Pool;
use quick::QuickConnection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A component's file.
pub(crate) struct Sqlite {
    pool: Arc<Pool>,
    quick: QuickConnection,
    timeout: Duration,
}

/// The name of a component's file.
pub(crate) fn file_name(component: &str) -> String {
    format!("{}.sqlite", safe_name(component, 40))
}

/// Opens, or makes, a component's file in a folder, and migrates it.
pub(crate) async fn open(
    folder: &Path,
    component: &str,
    limits: &DbGrant,
    migrations: Migrations,
) -> Result<Sqlite, ConfigureError> {
    if !memory::is_installed() {
        let why = "SQLite was initialised before its memory could be accounted: open no database before main";
        return Err(ConfigureError::Unavailable(why.into()));
    }
    let settings = Arc::new(Settings::new(folder.to_owned(), file_name(component), limits));
    let prepared = Arc::clone(&settings);
    let quick = tokio::task::spawn_blocking(move || {
        check_place(&prepared)
            .map_err(|error| ConfigureError::Unavailable(format!("the database's folder: {}", error.kind())))?;
        migrations::run(&prepared, &migrations)?;
        Ok(QuickConnection::open(&prepared))
    })
    .await
    .map_err(|_| ConfigureError::Unavailable("the database could not be opened".into()))??;
    Ok(Sqlite { quick, pool: Pool::new(settings, limits.connections), timeout: limits.statement_timeout() })
}

/// Makes the folder and the file, for their owner alone whatever the umask says, and sees to it that what has the
/// file's name is a file. SQLite takes a path, so that this is checked beforehand; SQLite itself does not follow links.
fn check_place(settings: &Settings) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&settings.folder)?;
    let folder = Dir::open_ambient_dir(&settings.folder, ambient_authority())?;
    match folder.symlink_metadata(&settings.file) {
        Ok(metadata) if !metadata.is_file() => Err(std::io::ErrorKind::InvalidInput.into()),
        Ok(_) => {
            restrict(settings);
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(&folder, &settings.file),
        Err(error) => Err(error),
    }
}

/// Makes the file, empty. What SQLite makes beside it has the same mode.
fn create(folder: &Dir, file: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match folder.open_with(file, &options) {
        // Another component's load was first.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes the rights of others from files that an earlier release made, as far as they are the host's.
fn restrict(settings: &Settings) {
    #[cfg(unix)]
    for suffix in ["", "-wal", "-shm"] {
        let path = settings.folder.join(format!("{}{suffix}", settings.file));
        // By its name: a file that is opened and closed here would end SQLite's locks on it.
        let _ = std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600));
    }
}

impl Backend for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn run_now(&self, statement: &Statement, caps: Caps) -> Option<Part> {
        self.quick.run(statement, caps)
    }

    fn run(&self, statement: Statement, output: Output) -> BoxFuture<'static, ()> {
        let (pool, timeout) = (Arc::clone(&self.pool), self.timeout);
        async move {
            let permits = tokio::select! {
                () = output.closed() => return,
                permits = tokio::time::timeout(timeout, pool.acquire(statement.writes)) => permits,
            };
            let Ok(permits) = permits else { return output.fail(Error::no_connection()) };
            pool.dispatch(
                permits,
                Box::new(move |session| {
                    if let Err(error) = session.and_then(|session| session.run(&statement, &output)) {
                        output.fail(error);
                    }
                }),
            );
        }
        .boxed()
    }

    fn transaction(&self, begin: BeginOptions, mut commands: Commands) -> BoxFuture<'static, ()> {
        let (pool, timeout) = (Arc::clone(&self.pool), self.timeout);
        async move {
            let Ok(permits) = tokio::time::timeout(timeout, pool.acquire(!begin.read_only)).await else {
                while let Some(command) = commands.recv().await {
                    command.output.fail(Error::no_connection());
                }
                return;
            };
            pool.dispatch(permits, Box::new(move |session| run::transaction(session, begin, commands)));
        }
        .boxed()
    }
}

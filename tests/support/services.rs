//! The servers behind capabilities: those that toolchain/setup/with-services.sh started, and others of a test's own.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The URL of the test run's Redis.
///
/// # Panics
/// If the tests do not run under with-services.sh.
#[must_use]
pub fn redis() -> String {
    std::env::var("ELIAS_TEST_REDIS").expect("run the tests with `make test`, which starts Redis")
}

/// The URL of a superuser of the test run's PostgreSQL.
///
/// # Panics
/// If the tests do not run under with-services.sh.
#[must_use]
pub fn postgres() -> String {
    std::env::var("ELIAS_TEST_POSTGRES").expect("run the tests with `make test`, which starts PostgreSQL")
}

/// A Redis that a test can stop and start again.
pub struct Redis {
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut redis = Self { port, process: None };
        redis.restart();
        redis
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill(); // it may have ended
            let _ = process.wait();
        }
    }

    /// Starts it again, empty, at the same place.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn restart(&mut self) {
        self.stop();
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        self.process = Some(command.stdout(Stdio::null()).spawn().expect("redis-server is installed"));
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < crate::serve::PATIENCE, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A PostgreSQL that a test can stop and start again.
pub struct Postgres {
    port: u16,
    bin: PathBuf,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let bin = std::env::var("ELIAS_TEST_POSTGRES_BIN").expect("run the tests with `make test`");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        // PostgreSQL runs as a user of its own, who has to be able to write here.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("the folder is ours");
        let postgres = Self { port, bin: bin.into(), folder };
        postgres.run("initdb", &["-U", "elias", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        postgres.restart();
        postgres
    }

    /// Where it is, for its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://elias@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills it, as a machine that fails does.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-s", "-m", "immediate", "stop"]);
    }

    /// Starts it again, with what it had committed.
    pub fn restart(&self) {
        let port = format!("-p {} -h 127.0.0.1 -c unix_socket_directories=", self.port);
        let log = self.folder.path().join("log");
        self.run("pg_ctl", &["-s", "-w", "-l", log.to_str().expect("UTF-8"), "-o", &port, "start"]);
    }

    /// Runs a statement as the superuser, behind everybody's back.
    ///
    /// # Panics
    /// If it fails.
    pub async fn sql(&self, statement: &str) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.expect("it is up");
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        drop(client);
        connection.await.expect("no panic").expect("it ends well");
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        let data = self.folder.path().join("data");
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = Command::new(if root { "runuser".as_ref() } else { program.as_os_str() });
        if root {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        let status = command.arg("-D").arg(data).args(arguments).current_dir("/").stdout(Stdio::null()).status();
        assert!(status.expect("PostgreSQL is installed").success(), "{} {arguments:?}", program.display());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

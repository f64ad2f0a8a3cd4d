//! The servers behind capabilities: those that toolchain/setup/with-services.sh started, and others of a test's own.

use std::net::{TcpListener, TcpStream};
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

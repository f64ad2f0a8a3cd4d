//! The shipped `elias serve`, as a process of its own.

use crate::build::{Finish, Project, binary};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest that a test waits for anything; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is ended when dropped.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    client: Client<HttpConnector, Full<Bytes>>,
    _folder: tempfile::TempDir,
}

/// Appends what a process writes to standard error to `log`, by whole lines: the process writes many at a time.
pub(crate) fn follow_log(errors: ChildStderr, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while let Ok(1..) = errors.read_until(b'\n', &mut line) {
            log.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable code in a problem document.
    ///
    /// # Panics
    /// If the answer is none.
    #[must_use]
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: serde_json::Value = serde_json::from_str(&self.body).expect("a problem document is JSON");
        problem["code"].as_str().expect("a problem has a code").to_owned()
    }
}

/// `elias serve FILE FLAGS...`, not yet started. Compiled code is kept where `make` says.
#[must_use]
pub fn command(file: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(binary("elias"));
    command.arg("serve").arg(file).args(["--listen", "127.0.0.1:0", "--log-format", "json"]).args(flags);
    command
}

/// Runs `elias serve` for something that it must refuse; gives what it said.
///
/// # Panics
/// If it cannot be started.
#[must_use]
pub fn refused(file: &Path, flags: &[&str]) -> Output {
    command(file, flags).finish().expect("elias starts")
}

impl Server {
    /// Serves a component.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn start(component: &[u8], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("app.wasm");
        std::fs::write(&file, component).expect("writing the component");
        Self::start_file(&file, flags, folder)
    }

    /// Serves the component that `elias-build` makes of one module.
    ///
    /// # Panics
    /// If it does not build or the server does not start.
    #[must_use]
    pub fn of(source: &str, flags: &[&str]) -> Self {
        Self::start(&crate::build::component(source), flags)
    }

    /// Serves a file of a project, with the project's elias.toml.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn of_project(project: Project, file: &str, flags: &[&str]) -> Self {
        let config = project.path("elias.toml");
        let config = ["--config", config.to_str().expect("UTF-8")];
        let flags: Vec<&str> = config.into_iter().chain(flags.iter().copied()).collect();
        let file = project.path(file);
        Self::start_file(&file, &flags, project.into_folder())
    }

    /// Serves a file, in `folder`, which lives as long as the server.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn start_file(file: &Path, flags: &[&str], folder: tempfile::TempDir) -> Self {
        let mut command = command(file, flags);
        command.current_dir(folder.path());
        Self::start_command(command, folder)
    }

    /// Serves a project and follows its changes.
    ///
    /// # Panics
    /// If the server does not start.
    #[must_use]
    pub fn develop(root: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(binary("elias"));
        command.arg("dev").args(["--listen", "127.0.0.1:0", "--log-format", "json"]).args(flags).current_dir(root);
        Self::start_command(command, tempfile::tempdir().expect("a temporary folder"))
    }

    fn start_command(mut command: Command, folder: tempfile::TempDir) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("elias starts");
        let log = Arc::new(Mutex::new(String::new()));
        follow_log(process.stderr.take().expect("it is piped"), &log);
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("elias says where it listens");
        let address = line.trim().rsplit("http://").next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line}{}", log.lock().expect("no reader panics")));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { process, address, log, client, _folder: folder }
    }

    /// Sends a request and reads the answer whole.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, request: http::request::Builder, path: &str, body: impl Into<Bytes>) -> Answer {
        self.try_send(request, path, body).await.expect("an answer")
    }

    /// Sends a request and reads the answer whole.
    ///
    /// # Errors
    /// If the connection breaks before the answer is whole.
    ///
    /// # Panics
    /// If nothing happens at all.
    pub async fn try_send(
        &self,
        request: http::request::Builder,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Box<dyn std::error::Error>> {
        let uri = format!("http://{}{path}", self.address);
        let request = request.uri(uri).body(Full::new(body.into())).expect("the request is well formed");
        let answer = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("something happens")
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(http::Request::get("/"), path, "").await
    }

    /// Sends bytes as they are and reads until the server closes.
    ///
    /// # Panics
    /// If the server neither answers nor closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.expect("it listens");
        let _ = stream.write_all(bytes).await; // it may close while we write
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("something happens");
        drop(read); // a reset ends the answer too
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Everything that was logged so far.
    ///
    /// # Panics
    /// If the thread that reads the log did.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Waits until the log says `text`, and gives the log.
    ///
    /// # Panics
    /// If it never does.
    pub async fn logged(&self, text: &str) -> String {
        self.logged_times(text, 1).await
    }

    /// Waits until the server's standard error contains `text` so many times.
    ///
    /// # Panics
    /// If it never does.
    pub async fn logged_times(&self, text: &str, times: usize) -> String {
        let started = Instant::now();
        loop {
            let log = self.log();
            if log.matches(text).count() >= times {
                return log;
            }
            assert!(started.elapsed() < PATIENCE, "the log never says {text}:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The ids of the processes that the server has started and that have not ended.
    ///
    /// # Panics
    /// If the server has ended.
    #[must_use]
    pub fn children(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("children")).ok() // one that is gone has none
        };
        let ids: String = tasks.filter_map(of_task).collect();
        let runs = |id: &&str| std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|it| !it.contains(") Z "));
        ids.split_whitespace().filter(runs).map(str::to_owned).collect()
    }

    /// The process's resident memory, in bytes.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.process.id())
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If `kill` is missing.
    pub fn signal(&self, name: &str) {
        Command::new("kill").args([name, &self.process.id().to_string()]).status().expect("kill is there");
    }

    /// Waits for the process's end and gives its exit code.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "the server does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Ends a server without warning. Where `make coverage` counts lines, two signals end it at once too, and it writes its
/// counters before that.
pub(crate) fn end(process: &mut Child) {
    let is_running = |process: &mut Child| matches!(process.try_wait(), Ok(None));
    if cfg!(coverage) && is_running(process) {
        for signal in ["-TERM", "-INT"] {
            let _ = Command::new("kill").args([signal, &process.id().to_string()]).status(); // it may have ended
        }
        let started = Instant::now();
        while is_running(process) && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let _ = process.kill(); // it may have ended
    let _ = process.wait();
}

/// An example's folder.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    crate::build::root().join("examples").join(name)
}

/// A process's resident memory, in bytes.
pub(crate) fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

//! `elias serve --platform` as a process of its own, its admin API, and the components that it serves.

use crate::build::{Finish, binary};
use crate::serve::{Answer, PATIENCE, end, follow_log};
use crate::tenant::Tenant;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A platform that is ended when dropped.
pub struct Platform {
    process: Child,
    /// Where components answer.
    pub address: SocketAddr,
    /// Where the admin API answers.
    pub admin_address: SocketAddr,
    /// The operator's token.
    pub token: String,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    log: Arc<Mutex<String>>,
    /// What it prints beside its two addresses.
    printed: Arc<Mutex<String>>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Unmounted before its folder is removed.
    _disk: Option<SmallDisk>,
    folder: tempfile::TempDir,
}

/// A file system of its own.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

impl Platform {
    /// Starts one in a new folder.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// Starts one in a new folder, with these variables in its environment.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_with(flags: &[&str], environment: &[(&str, String)]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), flags, environment)
    }

    fn start_in(folder: tempfile::TempDir, flags: &[&str], environment: &[(&str, String)]) -> Self {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (log, printed) = (Arc::default(), Arc::default());
        let (process, address, admin_address) = spawn(&folder, &flags, &environment, &log, &printed);
        let token = std::fs::read_to_string(folder.path().join("data/operator-token"));
        let token = token.expect("the operator's token is in the data directory").trim().to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { process, address, admin_address, token, flags, environment, log, printed, client, _disk: None, folder }
    }

    /// Starts one whose data directory is on a file system of its own, with little room; nothing where the tests do not
    /// run as root.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_on_small_disk(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={megabytes}m,mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        if !mount.is_ok_and(|status| status.success()) {
            return None;
        }
        let disk = SmallDisk(folder.path().to_owned());
        let mut platform = Self::start_in(folder, &[], &[]);
        platform._disk = Some(disk);
        Some(platform)
    }

    /// Starts one on a data directory that is there: a copy is made, for it is another's.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_on(data: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let status = Command::new("cp").arg("-r").arg(data).arg(folder.path().join("data")).status();
        assert!(status.is_ok_and(|status| status.success()), "the data directory is copied");
        Self::start_in(folder, &[], &[])
    }

    /// Kills it without warning and starts it again on the same data, at new addresses.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        (self.process, self.address, self.admin_address) =
            spawn(&self.folder, &self.flags, &self.environment, &self.log, &self.printed);
        self.client = Client::builder(TokioExecutor::new()).build_http();
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }

    /// Sends it a signal; it is waited for by [`restart`](Self::restart) or the end of the test.
    ///
    /// # Panics
    /// If `kill` is missing.
    pub fn signal(&self, name: &str) {
        Command::new("kill").args([name, &self.process.id().to_string()]).status().expect("kill is there");
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The process's resident memory, in bytes.
    ///
    /// # Panics
    /// If the system does not say.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        crate::serve::resident_bytes(self.process.id())
    }

    /// The compilers that it runs at the moment.
    ///
    /// # Panics
    /// If the system does not list processes.
    #[must_use]
    pub fn compilers(&self) -> usize {
        let parent = self.process.id().to_string();
        let all = std::fs::read_dir("/proc").expect("processes are listed").flatten();
        let is_compiler = |folder: &Path| {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            // After the program's name in brackets: its state, its parent.
            let stat = read("stat");
            let is_child = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(&parent);
            is_child && read("cmdline").contains("compile-worker")
        };
        all.filter(|entry| is_compiler(&entry.path())).count()
    }

    /// Waits until it has ended by itself; gives its exit code.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(&mut self) -> Option<i32> {
        until("the process ends", async || self.process.try_wait().expect("it is ours")).await.code()
    }

    /// A second process on the same data directory, which has to be refused; gives what it said.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn second(&self) -> Output {
        command(&self.folder, &self.flags, &self.environment).finish().expect("elias starts")
    }

    /// Starts it again with other flags, on the same data.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        self.restart();
    }

    /// A path in the data directory.
    #[must_use]
    pub fn data(&self, path: &str) -> PathBuf {
        self.folder.path().join("data").join(path)
    }

    /// Whether a file of the data directory, other than the operator's token, has this text in it.
    #[must_use]
    pub fn keeps(&self, text: &str) -> bool {
        holds(&self.data(""), text.as_bytes())
    }

    /// Where an artifact is kept.
    #[must_use]
    pub fn artifact(&self, digest: &str) -> PathBuf {
        self.data("artifacts").join(&digest[..2]).join(digest)
    }

    /// Everything that was logged so far, over all restarts.
    ///
    /// # Panics
    /// If the thread that reads the log did.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Waits until the log says `text`, and gives the log.
    pub async fn logged(&self, text: &str) -> String {
        until(&format!("the log says {text}"), async || Some(self.log()).filter(|log| log.contains(text))).await
    }

    /// The address at which it says that it serves files over 9P, by TCP.
    ///
    /// # Panics
    /// If that is none.
    pub async fn nine_p_address(&self) -> SocketAddr {
        let printed = || self.printed.lock().expect("no reader panics").clone();
        let address = until("it says where it serves files", async || {
            let printed = printed();
            let (line, _) = printed.split_once("over 9P at tcp:")?.1.split_once('\n')?;
            Some(line.to_owned())
        });
        address.await.parse().expect("an address")
    }

    /// The tenant that is there from the start, with the operator's token.
    #[must_use]
    pub fn default_tenant(&self) -> Tenant<'_> {
        Tenant { platform: self, name: "default".to_owned(), token: self.token.clone() }
    }

    /// A tenant that is made now, with the operator's token.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn new_tenant(&self, name: &str, settings: Value) -> Tenant<'_> {
        let (status, made) = self.admin("POST", "/v1/tenants", json!({ "tenant": name, "settings": settings })).await;
        assert_eq!(status, 201, "{made}");
        Tenant { platform: self, name: name.to_owned(), token: self.token.clone() }
    }

    /// Asks the admin API with the operator's token; `Value::Null` is not a body.
    pub async fn admin(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.admin_as(&self.token, method, path, body).await
    }

    /// Asks the admin API with this token.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn admin_as(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.try_admin(token, method, path, body).await.expect("an answer")
    }

    /// Asks the admin API with this token.
    ///
    /// # Errors
    /// If the connection breaks before the answer is whole.
    pub async fn try_admin(&self, token: &str, method: &str, path: &str, body: Value) -> Result<(u16, Value), Broken> {
        let request = http::Request::builder().method(method).header("authorization", format!("Bearer {token}"));
        let answer = match body {
            Value::Null => self.try_call(request, path, "").await?,
            body => self.try_call(request.header("content-type", "application/json"), path, body.to_string()).await?,
        };
        Ok((answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body))))
    }

    /// Sends any request to the admin API.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, request: http::request::Builder, path: &str, body: impl Into<Bytes>) -> Answer {
        self.try_call(request, path, body).await.expect("an answer")
    }

    /// Sends any request to the admin API.
    ///
    /// # Errors
    /// If the connection breaks before the answer is whole.
    pub async fn try_call(
        &self,
        request: http::request::Builder,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Broken> {
        self.send(request.uri(format!("http://{}{path}", self.admin_address)), body.into()).await
    }

    /// The response to a POST of JSON of so many MiB to the admin API, whole, as it is on the wire. The document begins
    /// with `start`, and goes on with letters.
    ///
    /// # Panics
    /// If the connection does not end.
    pub async fn post_mebibytes(&self, path: &str, start: &str, count: usize) -> String {
        let stream = TcpStream::connect(self.admin_address).await.expect("it listens");
        let (mut reader, mut writer) = stream.into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{start}",
            self.token,
            start.len() + (count << 20)
        );
        let write = async {
            // The server may close while we write.
            let _ = writer.write_all(head.as_bytes()).await;
            let part = vec![b'a'; 1 << 20];
            for _ in 0..count {
                if writer.write_all(&part).await.is_err() {
                    break;
                }
            }
        };
        let mut answer = Vec::new();
        let read = async {
            let _ = reader.read_to_end(&mut answer).await; // a reset ends the answer too
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(write, read) }).await.expect("something happens");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `GET path` of the component that answers at a host.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, host: &str, path: &str) -> Answer {
        self.ask_with(http::Request::get("/"), host, path, "").await
    }

    /// Any request to the component that answers at a host.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask_with(
        &self,
        request: http::request::Builder,
        host: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let request = request.header("host", host).uri(format!("http://{}{path}", self.address));
        self.send(request, body.into()).await.expect("an answer")
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Answer, Broken> {
        let request = request.body(Full::new(body)).expect("the request is well formed");
        let answer = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("something happens")
    }
}

/// Why there is no answer.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

impl Drop for Platform {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Waits until `look` finds something, and gives that.
///
/// # Panics
/// If it never does.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "it never comes to this: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).expect("the folder is ours").any(|entry| {
        let path = entry.expect("the folder is ours").path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        // A file that is gone by now was a temporary one.
        let has = || std::fs::read(&path).is_ok_and(|content| content.windows(bytes.len()).any(|part| part == bytes));
        !path.ends_with("operator-token") && has()
    })
}

fn command(folder: &tempfile::TempDir, flags: &[String], environment: &[(String, String)]) -> Command {
    let mut command = Command::new(binary("elias"));
    command.args(["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--data-dir", "data", "--log-format", "json"]).args(flags).current_dir(folder.path());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts the process; gives its two addresses, from the two lines that it prints.
fn spawn(
    folder: &tempfile::TempDir,
    flags: &[String],
    environment: &[(String, String)],
    log: &Arc<Mutex<String>>,
    printed: &Arc<Mutex<String>>,
) -> (Child, SocketAddr, SocketAddr) {
    let mut command = command(folder, flags, environment);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("elias starts");
    follow_log(process.stderr.take().expect("it is piped"), log);
    let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut address = || {
        let mut line = String::new();
        output.read_line(&mut line).expect("elias says where it listens");
        let after = line.split_once("http://").map(|(_, rest)| rest);
        let address =
            after.and_then(|rest| rest.split(['/', ',', ' ', '\n']).next()).and_then(|text| text.parse().ok());
        address.unwrap_or_else(|| panic!("no address in {line:?}\n{}", log.lock().expect("no reader panics")))
    };
    let (address, admin_address) = (address(), address());
    // Whatever else it prints is read, so that it never waits for us.
    let printed = Arc::clone(printed);
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let mut printed = printed.lock().expect("no reader panics");
            printed.push_str(&line);
            printed.push('\n');
        }
    });
    (process, address, admin_address)
}

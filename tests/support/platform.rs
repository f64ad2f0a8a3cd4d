//! `elias serve --platform` as a process of its own, its admin API, and the components that it serves.

use crate::build::binary;
use crate::serve::{Answer, PATIENCE};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
    log: Arc<Mutex<String>>,
    client: Client<HttpConnector, Full<Bytes>>,
    folder: tempfile::TempDir,
}

/// What one tenant does, by a token.
#[derive(Clone)]
pub struct Tenant<'a> {
    platform: &'a Platform,
    /// Its name.
    pub name: String,
    /// Whose token is sent: the operator's, unless another one was made.
    pub token: String,
}

impl Platform {
    /// Starts one in a new folder.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let log = Arc::default();
        let (process, address, admin_address) = spawn(&folder, &flags, &log);
        let token = std::fs::read_to_string(folder.path().join("data/operator-token"));
        let token = token.expect("the operator's token is in the data directory").trim().to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { process, address, admin_address, token, flags, log, client, folder }
    }

    /// Kills it without warning and starts it again on the same data, at new addresses.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        (self.process, self.address, self.admin_address) = spawn(&self.folder, &self.flags, &self.log);
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

    /// A second process on the same data directory, which has to be refused; gives what it said.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn second(&self) -> Output {
        command(&self.folder, &self.flags).output().expect("elias starts")
    }

    /// A path in the data directory.
    #[must_use]
    pub fn data(&self, path: &str) -> PathBuf {
        self.folder.path().join("data").join(path)
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

    /// Asks the admin API with the operator's token; `Value::Null` is no body.
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
        self.kill();
    }
}

impl Tenant<'_> {
    /// The same tenant by a token that is made now: its role, and the components that it is for.
    ///
    /// # Panics
    /// If the token cannot be made.
    pub async fn with_role(&self, role: &str, components: Option<&[&str]>) -> Self {
        let wanted = json!({ "name": role, "role": role, "components": components, "days": 1 });
        let (status, made) = self.ask("POST", "/tokens", wanted).await;
        assert_eq!(status, 201, "{made}");
        Self { token: made["secret"].as_str().expect("a secret").to_owned(), ..self.clone() }
    }

    /// A path of the admin API below the tenant's.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("/v1/tenants/{}{path}", self.name)
    }

    /// Asks the admin API; the path is below the tenant's.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.platform.admin_as(&self.token, method, &self.path(path), body).await
    }

    /// Asks for something that is done; gives the answer.
    ///
    /// # Panics
    /// If it is not done.
    pub async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks for something that is refused; gives the code and the explanation.
    ///
    /// # Panics
    /// If it is not refused by a problem document.
    pub async fn refused(&self, method: &str, path: &str, body: Value) -> (String, String) {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status >= 400 && answer["status"] == status, "{method} {path}: {status} {answer}");
        let text =
            |key: &str| answer[key].as_str().unwrap_or_else(|| panic!("{key} is missing in {answer}")).to_owned();
        (text("code"), text("detail"))
    }

    /// Uploads an artifact; gives its digest.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn upload(&self, bytes: &[u8]) -> String {
        let digest = elias_contract::digest(bytes);
        let answer = self.put_artifact(&digest, bytes).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        digest
    }

    /// Uploads bytes as the artifact with this digest.
    pub async fn put_artifact(&self, digest: &str, bytes: &[u8]) -> Answer {
        let request = http::Request::put("/").header("authorization", format!("Bearer {}", self.token));
        self.platform.call(request, &self.path(&format!("/artifacts/{digest}")), bytes.to_vec()).await
    }

    /// Uploads a component and makes a version of it with these settings; gives its number.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn version(&self, component: &str, bytes: &[u8], settings: Value) -> u64 {
        let digest = self.upload(bytes).await;
        let version = json!({ "digest": digest, "settings": settings });
        let made = self.done("POST", &format!("/components/{component}/versions"), version).await;
        made["number"].as_u64().expect("versions have numbers")
    }

    /// Deploys a version; `Value::Null` is no rollout.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn deploy(&self, component: &str, environment: &str, number: u64, rollout: Value) -> Value {
        let request = json!({ "version": number, "rollout": rollout });
        self.done("POST", &service(component, environment, "/deployments"), request).await
    }

    /// Makes a version and gives it all traffic in production; gives its number.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn serve(&self, component: &str, bytes: &[u8], settings: Value) -> u64 {
        let number = self.version(component, bytes, settings).await;
        self.deploy(component, "production", number, Value::Null).await;
        number
    }

    /// How a component's service in production stands.
    ///
    /// # Panics
    /// If there is none.
    pub async fn status(&self, component: &str) -> Value {
        let all = self.done("GET", &format!("/services?component={component}"), Value::Null).await;
        let mut services = all["items"].as_array().expect("a list").iter();
        services.find(|service| service["environment"] == "production").unwrap_or_else(|| panic!("{all}")).clone()
    }

    /// A component's deployments in production, newest first.
    ///
    /// # Panics
    /// If they cannot be listed.
    pub async fn history(&self, component: &str) -> Vec<Value> {
        let all = self.done("GET", &service(component, "production", "/deployments"), Value::Null).await;
        all["items"].as_array().expect("a list").clone()
    }

    /// The host at which a component answers in production.
    #[must_use]
    pub fn host(&self, component: &str) -> String {
        format!("{component}.{}.localhost", self.name)
    }

    /// `GET path` of a component in production.
    pub async fn get(&self, component: &str, path: &str) -> Answer {
        self.platform.ask(&self.host(component), path).await
    }
}

/// The path of a service below its tenant's.
#[must_use]
pub fn service(component: &str, environment: &str, path: &str) -> String {
    format!("/components/{component}/environments/{environment}{path}")
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

fn command(folder: &tempfile::TempDir, flags: &[String]) -> Command {
    let mut command = Command::new(binary("elias"));
    command.args(["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--data-dir", "data", "--log-format", "json"]).args(flags).current_dir(folder.path());
    command
}

/// Starts the process; gives its two addresses, from the two lines that it prints.
fn spawn(folder: &tempfile::TempDir, flags: &[String], log: &Arc<Mutex<String>>) -> (Child, SocketAddr, SocketAddr) {
    let mut process =
        command(folder, flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("elias starts");
    let mut errors = process.stderr.take().expect("it is piped");
    let reader = Arc::clone(log);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = errors.read(&mut bytes) {
            reader.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    });
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
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    (process, address, admin_address)
}

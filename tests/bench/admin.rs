//! A platform as a process, and its admin API over plain sockets.

use crate::server::Server;
use elias_contract::digest;
use serde_json::{Value, json};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform and one of its tenants. It is killed when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Platform {
    pub(crate) server: Arc<Server>,
    admin: String,
    token: String,
    tenant: String,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether it is the answer of a component that has this text.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.status == 200 && String::from_utf8_lossy(&self.body).contains(text)
    }

    /// The text of an answer that must be a good one.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).expect("it is JSON") }
    }
}

impl Platform {
    /// Serves from this data directory, without a log; for the tenant `default`.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[], "off")
    }

    /// The same with these flags, and a filter of log lines as in `ELIAS_LOG`.
    pub(crate) fn start_with(data_dir: &Path, flags: &[&str], log: &str) -> Self {
        let (server, admin) = Server::platform(data_dir, flags, log);
        let token = std::fs::read_to_string(data_dir.join("operator-token")).expect("it was made");
        let (token, tenant) = (token.trim().to_owned(), "default".to_owned());
        Self { server: Arc::new(server), admin, token, tenant }
    }

    /// The same platform for a tenant that is created now.
    pub(crate) fn new_tenant(&self, name: &str) -> Self {
        let tenant = json!({ "tenant": name, "settings": {} }).to_string();
        self.send("POST", "/v1/tenants", "application/json", tenant.as_bytes()).expect("it is created").json();
        Self { tenant: name.to_owned(), ..self.clone() }
    }

    /// Where the transparency log is.
    pub(crate) fn log_url(&self) -> String {
        format!("http://{}/v1/log", self.admin)
    }

    /// Asks the admin API for something of the tenant; `path` begins with a slash, or is empty for the tenant itself.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send(method, &self.path(path), "application/json", &body)
    }

    fn path(&self, path: &str) -> String {
        format!("/v1/tenants/{}{path}", self.tenant)
    }

    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Result<Answer> {
        let Self { admin, token, .. } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {token}\r\n\
             content-type: {media_type}\r\n"
        );
        exchange(admin, &head, body)
    }

    /// Uploads a component; gives its SHA-256.
    pub(crate) fn upload(&self, component: &[u8]) -> String {
        let digest = digest(component);
        let sent = self.send("PUT", &self.path(&format!("/artifacts/{digest}")), "application/octet-stream", component);
        sent.expect("it is stored").json();
        digest
    }

    /// Makes a version; gives its number.
    pub(crate) fn version(&self, component: &str, digest: &str, settings: &Value) -> Result<u64> {
        let version = json!({ "digest": digest, "settings": settings });
        let made = self.ask("POST", &format!("/components/{component}/versions"), &version)?.json();
        made["number"].as_u64().ok_or_else(|| Error::new(ErrorKind::InvalidData, "a version without a number"))
    }

    /// Gives a version all traffic of production.
    pub(crate) fn deploy(&self, component: &str, version: u64) -> Result<()> {
        let deployment = json!({ "version": version });
        self.ask("POST", &format!("{}/deployments", production(component)), &deployment)?.json();
        Ok(())
    }

    /// Uploads a component, makes a version of it, and gives that all traffic of production.
    pub(crate) fn serve(&self, name: &str, component: &[u8], settings: &Value) {
        let digest = self.upload(component);
        let version = self.version(name, &digest, settings).expect("it is accepted");
        self.deploy(name, version).expect("it serves");
    }

    /// The largest sample of a metric, and its labels as they stand there.
    pub(crate) fn metric(&self, name: &str) -> (f64, String) {
        let response = self.send("GET", "/v1/metrics", "text/plain", b"").expect("it responds");
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let samples = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            Some((value.parse().ok()?, labels.to_owned()))
        });
        let largest = samples.max_by(|a: &(f64, _), b| a.0.total_cmp(&b.0));
        largest.unwrap_or_else(|| panic!("{name} is not in {text}"))
    }

    /// Has the production of a component serve a former version.
    pub(crate) fn rollback(&self, component: &str, to: u64) -> Result<()> {
        self.ask("POST", &format!("{}/rollback", production(component)), &json!({ "to": to }))?.json();
        Ok(())
    }

    /// The verifier key of the transparency log.
    pub(crate) fn log_key(&self) -> Result<String> {
        let answer = exchange(&self.admin, &format!("GET /v1/log/key HTTP/1.1\r\nhost: {}\r\n", self.admin), b"")?;
        Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
    }

    /// Asks a component in production for `/`.
    pub(crate) fn get(&self, component: &str) -> Result<Answer> {
        let host = host(&self.tenant, component);
        exchange(self.server.address(), &format!("GET / HTTP/1.1\r\nhost: {host}\r\n"), b"")
    }
}

fn production(component: &str) -> String {
    format!("/components/{component}/environments/production")
}

/// The host of a tenant's component in production.
pub(crate) fn host(tenant: &str, component: &str) -> String {
    format!("{component}.{tenant}.localhost")
}

/// Sends a request on a connection of its own; `head` has no length yet, and no end.
fn exchange(address: &str, head: &str, body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let broken = || Error::new(ErrorKind::UnexpectedEof, "the answer broke off");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    let body = answer.split_off(end + 4);
    // A server that is killed may have sent a part.
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    if length.is_some_and(|length: usize| body.len() < length) {
        return Err(broken());
    }
    Ok(Answer { status, body })
}

//! A platform as a process, and its admin API over plain sockets.

use crate::server::Server;
use elias_contract::digest;
use serde_json::{Value, json};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform that is killed when dropped.
pub(crate) struct Platform {
    pub(crate) server: Server,
    admin: String,
    token: String,
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

    /// What is in an answer that has to be a good one.
    pub(crate) fn json(&self) -> Value {
        assert!(self.status < 300, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).expect("it is JSON") }
    }
}

impl Platform {
    /// Serves from this data directory.
    pub(crate) fn start(data_dir: &Path) -> Self {
        let (server, admin) = Server::platform(data_dir);
        let token = std::fs::read_to_string(data_dir.join("operator-token")).expect("it was made");
        Self { server, admin, token: token.trim().to_owned() }
    }

    /// Where the transparency log is.
    pub(crate) fn log_url(&self) -> String {
        format!("http://{}/v1/log", self.admin)
    }

    /// Asks the admin API for something of the tenant `default`; `path` begins with a slash, or is empty for the tenant itself.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send(method, path, "application/json", &body)
    }

    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Result<Answer> {
        let Self { admin, token, .. } = self;
        let head = format!(
            "{method} /v1/tenants/default{path} HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {token}\r\n\
             content-type: {media_type}\r\n"
        );
        exchange(admin, &head, body)
    }

    /// Uploads a component; gives its SHA-256.
    pub(crate) fn upload(&self, component: &[u8]) -> String {
        let digest = digest(component);
        let sent = self.send("PUT", &format!("/artifacts/{digest}"), "application/octet-stream", component);
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
        let address = self.server.url().trim_start_matches("http://").trim_end_matches('/');
        exchange(address, &format!("GET / HTTP/1.1\r\nhost: {}\r\n", host(component)), b"")
    }
}

fn production(component: &str) -> String {
    format!("/components/{component}/environments/production")
}

/// The host of a component in production.
pub(crate) fn host(component: &str) -> String {
    format!("{component}.default.localhost")
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

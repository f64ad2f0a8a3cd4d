//! Service workers as files over 9P: by the clients of diod, which know nothing of ours, and byte by byte.

mod client;

use client::{Client, READ, READ_WRITE, WRITE, text};
use elias_tests::build::{binary, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::PATIENCE;
use elias_tests::tenant::Tenant;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const SOURCE: &str = r#"
import { worker } from "elias";

export class Cart extends worker.Worker {
  items = new Map();
  add(sku, n) {
    console.log("added", sku);
    this.items.set(sku, (this.items.get(sku) ?? 0) + n);
    return this.items;
  }
  onMessage(message) { return { message, items: this.items }; }
  fail() { throw new RangeError("as told"); }
}

export class Notes extends worker.Worker {
  notes = new Map([["hello.txt", "hello\n"], ["a/b", "slash\n"]]);
  bytes = new Uint8Array([0, 255, 10]);

  onWalk([name, ...rest]) {
    if (name === undefined) {
      const entries = [...this.notes.keys(), { name: "raw", type: "directory" }];
      return { type: "directory", writable: true, entries };
    }
    if (name === "raw" && rest.length === 0) return { type: "directory", entries: ["bytes"] };
    if (name === "raw") return rest[0] === "bytes" ? { size: 3 } : undefined;
    const note = this.notes.get(name);
    if (note === undefined || rest.length > 0) return undefined;
    return { size: note.length, writable: true };
  }
  onRead([name], offset, count) {
    return name === "raw" ? this.bytes.subarray(offset, offset + count) : this.notes.get(name);
  }
  onWrite([name], bytes, offset, { truncate }) {
    if (name === "forbidden") throw new DOMException("not this one", "NotAllowedError");
    const before = truncate ? "" : this.notes.get(name) ?? "";
    this.notes.set(name, before.slice(0, offset) + new TextDecoder().decode(bytes));
  }
}

export default { fetch() { return new Response("up"); } };
"#;

/// Built once: a heap belongs to one build of a component.
static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| component(SOURCE));

/// A platform whose workers are files at a socket.
struct Served {
    platform: Platform,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("9p");
        let platform = Platform::start(&["--9p", &format!("unix:{}", socket.display())]);
        Self { platform, socket, _folder: folder }
    }

    /// The tenant, with its component served.
    async fn team(&self) -> Tenant<'_> {
        let team = self.platform.default_tenant();
        team.serve("shop", &BUILT, json!({})).await;
        team
    }

    /// Attaches with the operator's token, to the tenant of the tests.
    async fn attach(&self) -> Client {
        Client::attach(&self.socket, &format!("{}@default", self.platform.token)).await.expect("attached")
    }

    /// Runs one of diod's clients; gives what it prints.
    fn diod(&self, server: &str, program: &str, paths: &[&str]) -> Result<String, String> {
        let folder = std::env::var("ELIAS_TEST_DIOD_BIN").expect("run the tests with `make test`");
        let mut command = Command::new(Path::new(&folder).join(program));
        let token = format!("{}@default", self.platform.token);
        let seconds = PATIENCE.as_secs().to_string();
        let output = command.args(["-s", server, "-a", &token, "-t", &seconds]).args(paths).output();
        let output = output.expect("diod's clients are installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() && output.stderr.is_empty() {
            return Ok(text(&output.stdout));
        }
        Err(text(&output.stderr))
    }
}

fn add(sku: &str) -> Value {
    json!({ "method": "add", "args": [sku, 1] })
}

#[tokio::test]
async fn diods_clients_list_and_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("9p");
    let at_socket = format!("unix:{}", socket.display());
    let platform = Platform::start(&["--9p", &at_socket, "--9p", "tcp:127.0.0.1:0"]);
    let tcp = platform.nine_p_address().await.to_string();
    let served = Served { platform, socket, _folder: folder };
    served.team().await;
    let mut client = served.attach().await;
    for name in ["ada", "a%2Fb", "%2E%2E"] {
        client.ask(&format!("services/shop/Cart/{name}/mailbox"), add("tea")).await;
    }
    let unix = served.socket.display().to_string();
    for server in [unix.as_str(), &tcp] {
        let list = |path: &str| {
            let printed = served.diod(server, "diodls", &[path]).expect(path);
            let mut names: Vec<String> = printed.lines().map(str::to_owned).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(list("/"), ["services"]);
        assert_eq!(list("services"), ["shop"]);
        assert_eq!(list("services/shop"), ["Cart"]);
        assert_eq!(list("services/shop/Cart"), ["%2E%2E", "a%2Fb", "ada"]);
        let files = ["ctl", "events", "files", "log", "mailbox", "state", "status"];
        assert_eq!(list("services/shop/Cart/ada"), files);
        let cat = |path: &str| served.diod(server, "diodcat", &[path]);
        let json = |path: &str| serde_json::from_str::<Value>(&cat(path).expect(path)).expect("JSON");
        assert_eq!(json("services/shop/Cart/a%2Fb/status")["name"], "a/b");
        assert_eq!(json("services/shop/Cart/ada/state")["fields"]["items"], json!({ "tea": 1 }));
        let missing = cat("services/shop/Cart/nobody/status").expect_err("there is none");
        assert!(missing.contains("No such file"), "{missing}");
    }
}

#[tokio::test]
async fn a_message_is_written_and_its_answer_read() {
    let served = Served::start();
    served.team().await;
    let mut client = served.attach().await;
    let ada = "services/shop/Cart/ada";
    let mailbox = format!("{ada}/mailbox");
    assert_eq!(client.ask(&mailbox, add("tea")).await, json!({ "answer": { "tea": 1 } }));
    let heard = client.ask(&mailbox, json!({ "message": [null] })).await;
    assert_eq!(heard["answer"], json!({ "message": [null], "items": { "tea": 1 } }));
    // What is only written is sent when the file is closed.
    client.put(&mailbox, &add("tea").to_string()).await.expect("sent");
    assert_eq!(client.ask(&mailbox, add("tea")).await["answer"], json!({ "tea": 3 }));
    // An exception is the answer, and EREMOTEIO at the close.
    let failed = client.ask(&mailbox, json!({ "method": "fail" })).await;
    assert_eq!(failed, json!({ "code": "worker-exception", "detail": "RangeError: as told" }));
    assert_eq!(client.put(&mailbox, r#"{"method":"fail"}"#).await, Err(121));
    assert_eq!(client.put(&mailbox, "no JSON").await, Err(22));
    assert_eq!(client.put("services/shop/Nobody/ada/mailbox", r#"{"message":1}"#).await, Err(2), "no such class");
    // A message is written once, in its order, and has a bound.
    let fid = client.open(&mailbox, READ_WRITE).await.expect("opened");
    assert_eq!(client.write(fid, 5, "{}").await, Err(22));
    let part = "x".repeat(60_000);
    let mut length = 0;
    let refused = loop {
        match client.write(fid, length, &part).await {
            Ok(()) => length += part.len(),
            Err(errno) => break errno,
        }
    };
    assert_eq!((refused, length <= 2 << 20), (27, true), "EFBIG");
    assert_eq!(client.clunk(fid).await, Err(22), "it is no message");
}

#[tokio::test]
async fn commands_operate_a_worker() {
    let served = Served::start();
    served.team().await;
    let mut client = served.attach().await;
    let (cart, ctl) = ("services/shop/Cart", "services/shop/Cart/ada/ctl");
    client.put(ctl, "start\n").await.expect("started");
    client.ask(&format!("{cart}/ada/mailbox"), add("tea")).await;
    client.put(ctl, "fork copy%2F2\n").await.expect("copied");
    assert_eq!(client.put(ctl, "fork copy%2F2\n").await, Err(17), "EEXIST");
    assert_eq!(client.put(ctl, "halt\n").await, Err(22));
    let state = client.cat(&format!("{cart}/copy%2F2/state")).await.expect("read");
    assert!(state.contains("\"tea\": 1"), "{state}");
    client.put(ctl, "restart by hand\n").await.expect("restarted");
    let state = client.cat(&format!("{cart}/ada/state")).await.expect("read");
    assert!(!state.contains("tea"), "{state}");
    client.put(ctl, "stop\n").await.expect("stopped");
    assert_eq!(client.cat(&format!("{cart}/ada/status")).await, Err(2));
    for path in ["services/blog", "services/shop@staging", "services/shop/Cart/ada/none", "services/shop/Cart/a%2fb"] {
        assert_eq!(client.walk(path).await, Err(2), "{path}");
    }
    assert_eq!(client.open(&format!("{cart}/ada/state"), WRITE).await, Err(13), "EACCES");
    assert_eq!(client.open(cart, READ_WRITE).await, Err(21), "EISDIR");
}

#[tokio::test]
async fn opening_a_file_starts_a_worker_where_its_service_says_so() {
    let served = Served::start();
    let team = served.team().await;
    let mut client = served.attach().await;
    let status = "services/shop/Cart/new/status";
    assert_eq!(client.cat(status).await, Err(2));
    team.serve("shop", &BUILT, json!({ "workers": { "start-on-open": true } })).await;
    let viewer = team.with_role("viewer", None).await.token;
    let mut viewer = Client::attach(&served.socket, &viewer).await.expect("attached");
    assert_eq!(viewer.cat(status).await, Err(2), "one that may send nothing starts none");
    assert!(client.cat(status).await.expect("started").contains("\"new\""));
    assert!(viewer.cat(status).await.is_ok());
}

#[tokio::test]
async fn reads_of_events_and_of_the_log_wait() {
    let served = Served::start();
    served.team().await;
    let mut client = served.attach().await;
    let mut other = served.attach().await;
    let ada = "services/shop/Cart/ada";
    let events = client.open(&format!("{ada}/events"), READ).await.expect("opened");
    let log = client.open(&format!("{ada}/log"), READ).await.expect("opened");
    client.send_read(2, events, 0).await;
    client.send_read(3, log, 0).await;
    // Another worker's are not among them.
    other.ask("services/shop/Cart/bo/mailbox", add("milk")).await;
    other.ask(&format!("{ada}/mailbox"), add("tea")).await;
    let mut seen = [String::new(), String::new()];
    for _ in 0..2 {
        let (tag, read) = client.response().await;
        seen[usize::from(tag) - 2] = String::from_utf8(read.expect("read").split_off(4)).expect("a text");
    }
    assert!(seen[0].contains("worker.started") && !seen[0].contains("Cart/bo"), "{}", seen[0]);
    assert!(seen[1].contains("added tea") && !seen[1].contains("milk"), "{}", seen[1]);
    // A flush ends a read without an answer of its own.
    client.send_read(4, log, 0).await;
    client.send(108, 5, &[&4_u16.to_le_bytes()]).await;
    assert_eq!(client.response().await, (5, Ok(vec![])));
    // Closing the file ends it with EINTR.
    client.send_read(6, log, 0).await;
    client.send(120, 7, &[&log.to_le_bytes()]).await;
    assert_eq!(client.response().await, (6, Err(4)));
    assert_eq!(client.response().await, (7, Ok(vec![])));
}

#[tokio::test]
async fn the_role_of_the_token_decides() {
    let served = Served::start();
    let team = served.team().await;
    let ada = "services/shop/Cart/ada";
    served.attach().await.ask(&format!("{ada}/mailbox"), add("tea")).await;
    let viewer = team.with_role("viewer", None).await.token;
    let mut viewer = Client::attach(&served.socket, &viewer).await.expect("attached to its own tenant");
    assert!(viewer.cat(&format!("{ada}/status")).await.expect("read").contains("\"Cart\""));
    for (path, flags) in [("state", READ), ("mailbox", READ_WRITE), ("ctl", WRITE)] {
        assert_eq!(viewer.open(&format!("{ada}/{path}"), flags).await, Err(13), "{path}");
    }
    assert_eq!(viewer.cat("services/shop/Notes/ada/files/hello.txt").await, Err(13));
    // Of another component, of another tenant, and with no token.
    let narrow = team.with_role("operator", Some(&["blog"])).await.token;
    let mut narrow = Client::attach(&served.socket, &narrow).await.expect("attached");
    assert_eq!(narrow.walk("services/shop").await, Err(13));
    let own = team.with_role("operator", None).await.token;
    for aname in [String::new(), "elias_guess".to_owned(), format!("{own}@system"), format!("{own}@Not a name")] {
        assert_eq!(Client::attach(&served.socket, &aname).await.err(), Some(13), "{aname}");
    }
    assert!(Client::attach(&served.socket, &format!("{own}/services/shop")).await.is_ok());
}

#[tokio::test]
async fn what_was_opened_is_not_read_after_its_token() {
    let served = Served::start();
    let team = served.team().await;
    let token = team.with_role("operator", None).await.token;
    let mut client = Client::attach(&served.socket, &token).await.expect("attached");
    let ada = "services/shop/Cart/ada";
    let message = add("tea").to_string();
    let mailbox = client.open(&format!("{ada}/mailbox"), READ_WRITE).await.expect("opened");
    client.write(mailbox, 0, &message).await.expect("written");
    let answer = client.read(mailbox, message.len()).await.expect("read");
    assert!(answer.contains("tea"), "{answer}");
    let status = client.open(&format!("{ada}/status"), READ).await.expect("opened");
    assert!(client.read(status, 0).await.expect("read").contains("ada"));
    let id = token.split('_').nth(1).expect("tokens have an id");
    team.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    until("the token is forgotten", async || (client.walk("services/shop").await == Err(13)).then_some(())).await;
    assert_eq!(client.read(status, 0).await, Err(13));
    assert_eq!(client.read(mailbox, message.len()).await, Err(13));
}

#[tokio::test]
async fn a_read_that_waits_ends_with_its_token() {
    let served = Served::start();
    let team = served.team().await;
    let token = team.with_role("viewer", None).await.token;
    let mut client = Client::attach(&served.socket, &token).await.expect("attached");
    let events = client.open("services/shop/Cart/ada/events", READ).await.expect("opened");
    let log = client.open("services/shop/Cart/ada/log", READ).await.expect("opened");
    client.send_read(2, events, 0).await;
    client.send_read(3, log, 0).await;
    let id = token.split('_').nth(1).expect("tokens have an id");
    team.done("DELETE", &format!("/tokens/{id}"), Value::Null).await;
    let mut ended = [client.response().await, client.response().await];
    ended.sort_unstable_by_key(|(tag, _)| *tag);
    assert_eq!(ended, [(2, Err(13)), (3, Err(13))]);
    assert_eq!(client.walk("services/shop").await, Err(13));
}

#[tokio::test]
async fn a_worker_serves_files_of_its_own() {
    let served = Served::start();
    served.team().await;
    let mut client = served.attach().await;
    let files = "services/shop/Notes/ada/files";
    let unix = served.socket.display().to_string();
    let list = |path: &str| {
        let printed = served.diod(&unix, "diodls", &[path]).expect(path);
        let mut names: Vec<String> = printed.lines().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(list(files), ["a%2Fb", "hello.txt", "raw"]);
    assert_eq!(list(&format!("{files}/raw")), ["bytes"]);
    let cat = |path: &str| served.diod(&unix, "diodcat", &[&format!("{files}/{path}")]);
    assert_eq!(cat("hello.txt").as_deref(), Ok("hello\n"));
    assert_eq!(cat("a%2Fb").as_deref(), Ok("slash\n"));
    assert!(cat("none").expect_err("there is none").contains("No such file"));
    let fid = client.open(&format!("{files}/raw/bytes"), READ).await.expect("opened");
    client.send_read(1, fid, 1).await;
    assert_eq!(client.response().await.1.expect("read").split_off(4), [255, 10], "a part of the bytes");
    // Written over, written behind, and made.
    client.put(&format!("{files}/hello.txt"), "jello").await.expect("written");
    assert_eq!(cat("hello.txt").as_deref(), Ok("jello"));
    // Linux empties a file by its length.
    let fid = client.walk(&format!("{files}/hello.txt")).await.expect("a file");
    let empty = [&fid.to_le_bytes()[..], &8_u32.to_le_bytes(), &[0; 52]].concat();
    client.call(26, &[&empty]).await.expect("emptied");
    assert_eq!(cat("hello.txt").as_deref(), Ok(""));
    let create = |fid: u32, name: &str| {
        let flags = [WRITE.to_le_bytes(), 0o644_u32.to_le_bytes(), [0; 4]].concat();
        [&fid.to_le_bytes()[..], &text(name), &flags].concat()
    };
    let fid = client.walk(files).await.expect("a directory");
    client.call(14, &[&create(fid, "new%2F1")]).await.expect("made");
    client.write(fid, 0, "one\n").await.expect("written");
    client.write(fid, 4, "two\n").await.expect("written");
    client.clunk(fid).await.expect("closed");
    assert_eq!(cat("new%2F1").as_deref(), Ok("one\ntwo\n"));
    let fid = client.walk(files).await.expect("a directory");
    assert_eq!(client.call(14, &[&create(fid, "forbidden")]).await, Err(13), "NotAllowedError");
    let fid = client.walk(&format!("{files}/raw")).await.expect("a directory");
    assert_eq!(client.call(14, &[&create(fid, "more")]).await, Err(13), "it is not writable");
    assert_eq!(client.open(&format!("{files}/raw/bytes"), WRITE).await, Err(13));
    // A class that serves none.
    assert_eq!(client.walk("services/shop/Cart/ada/files/any").await, Err(121), "EREMOTEIO");
}

#[tokio::test]
async fn many_opens_leave_nothing() {
    let served = Served::start();
    served.team().await;
    let mut client = served.attach().await;
    let mailbox = "services/shop/Cart/ada/mailbox";
    client.ask(mailbox, add("tea")).await;
    // More than may be open at once.
    for _ in 0..500 {
        let fid = client.open(mailbox, READ_WRITE).await.expect("opened");
        client.write(fid, 0, "{").await.expect("written");
        assert_eq!(client.clunk(fid).await, Err(22));
        client.cat("services/shop/Cart/ada/state").await.expect("read");
    }
    // Connections are given back, too.
    for _ in 0..200 {
        let mut client = served.attach().await;
        client.open(mailbox, READ_WRITE).await.expect("opened");
    }
    assert_eq!(client.ask(mailbox, add("tea")).await["answer"], json!({ "tea": 2 }));
}

#[tokio::test]
async fn tcp_beyond_loopback_is_with_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&certificate, cert.pem()).expect("written");
    std::fs::write(&key, signing_key.serialize_pem()).expect("written");
    let platform = Platform::start(&["--9p", "tcp:0.0.0.0:0", "--9p-certificate", &certificate, "--9p-key", &key]);
    let port = platform.nine_p_address().await.port();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connect = async || TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let name = "localhost".try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, connect().await).await.expect("TLS");
    let mut client = Client::over(stream, &format!("{}@default", platform.token)).await.expect("attached");
    client.walk("services").await.expect("a directory");
    // Without TLS nothing of the protocol is answered.
    let mut plain = connect().await;
    plain.write_all(b"\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\x009P2000.L").await.expect("written");
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.expect("it is closed"); // a reset is an end too
    assert!(!answer.windows(6).any(|part| part == b"9P2000"), "{answer:?}");

    let mut command = Command::new(binary("elias"));
    command.args(["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]);
    let output = command.arg(path("data")).args(["--9p", "tcp:0.0.0.0:0"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("config"), "{text}");
    assert!(text.contains("0.0.0.0:0") && text.contains("--9p-certificate"), "{text}");
}

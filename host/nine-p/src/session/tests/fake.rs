//! A namespace in memory, and a client that writes bytes.

use crate::errno::{Errno, FileError, FileResult};
use crate::limits::Limits;
use crate::namespace::{AttachRequest, DirectoryEntry, Metadata, Namespace, Node, NodeId, OpenFile};
use crate::request::OpenMode;
use crate::session::{Session, SessionError};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

/// The token that lets in.
pub(super) const TOKEN: &str = "secret";

/// What the tests look at.
#[derive(Default)]
pub(super) struct Shared {
    /// Files that are open.
    pub(super) open: AtomicUsize,
    /// Reads that wait.
    pub(super) waiting: AtomicUsize,
    /// What was written and closed.
    pub(super) sent: Mutex<Vec<String>>,
    /// The entries of the directory `many`, in their order.
    pub(super) many: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `hello`, `wait`, `box`, `many`, `deep`, `stuck`.
    Root = 1,
    /// The text `hello`.
    Hello,
    /// A read has no end.
    Wait,
    /// What is written is sent when it is closed.
    Box,
    /// A directory of [`Shared::many`].
    Many,
    /// A directory that has itself in it.
    Deep,
    /// Closing it has no end.
    Stuck,
}

const NAMES: [(&str, Kind); 6] = [
    ("box", Kind::Box),
    ("deep", Kind::Deep),
    ("hello", Kind::Hello),
    ("many", Kind::Many),
    ("stuck", Kind::Stuck),
    ("wait", Kind::Wait),
];

pub(super) struct Fake(pub(super) Arc<Shared>);

impl Namespace for Fake {
    fn attach<'a>(&'a self, request: AttachRequest<'a>) -> BoxFuture<'a, FileResult<Arc<dyn Node>>> {
        let denied = || FileError::new(Errno::AccessDenied, "permission denied");
        let is_good = request.token == TOKEN && request.scope.is_none_or(|scope| scope == "acme");
        let root: Arc<dyn Node> = Arc::new(FakeNode(Kind::Root, Arc::clone(&self.0)));
        std::future::ready(is_good.then_some(root).ok_or_else(denied)).boxed()
    }
}

struct FakeNode(Kind, Arc<Shared>);

fn metadata(kind: Kind) -> Metadata {
    let is_directory = matches!(kind, Kind::Root | Kind::Many | Kind::Deep);
    let id = NodeId { is_directory, path: kind as u64 };
    let length = if kind == Kind::Hello { 5 } else { 0 };
    Metadata { id, permissions: if is_directory { 0o555 } else { 0o666 }, length, modified: 7 }
}

impl Node for FakeNode {
    fn id(&self) -> NodeId {
        metadata(self.0).id
    }

    fn metadata(&self) -> BoxFuture<'_, FileResult<Metadata>> {
        std::future::ready(Ok(metadata(self.0))).boxed()
    }

    fn walk<'a>(&'a self, name: &'a str) -> BoxFuture<'a, FileResult<Arc<dyn Node>>> {
        let found = match self.0 {
            Kind::Root => NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind),
            Kind::Deep => (name == "deep").then_some(Kind::Deep),
            _ => self.1.many.lock().iter().any(|known| known == name).then_some(Kind::Hello),
        };
        let node = found.map(|kind| Arc::new(Self(kind, Arc::clone(&self.1))) as Arc<dyn Node>);
        std::future::ready(node.ok_or_else(FileError::not_found)).boxed()
    }

    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, FileResult<Vec<DirectoryEntry>>> {
        let all: Vec<(String, Kind)> = match self.0 {
            Kind::Many => self.1.many.lock().iter().map(|name| (name.clone(), Kind::Hello)).collect(),
            _ => NAMES.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        };
        let behind = all.into_iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let entries = behind.take(limit).map(|(name, kind)| DirectoryEntry { name, metadata: metadata(kind) });
        std::future::ready(Ok(entries.collect())).boxed()
    }

    fn open(&self, _: OpenMode) -> BoxFuture<'_, FileResult<Box<dyn OpenFile>>> {
        self.1.open.fetch_add(1, Ordering::Relaxed);
        let file = FakeFile { kind: self.0, shared: Arc::clone(&self.1), written: Mutex::default() };
        std::future::ready(Ok(Box::new(file) as Box<dyn OpenFile>)).boxed()
    }
}

struct FakeFile {
    kind: Kind,
    shared: Arc<Shared>,
    written: Mutex<Vec<u8>>,
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts while it is there.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OpenFile for FakeFile {
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>> {
        async move {
            if self.kind == Kind::Wait {
                self.shared.waiting.fetch_add(1, Ordering::Relaxed);
                let _counted = Counted(&self.shared.waiting);
                return std::future::pending().await;
            }
            let text = b"hello";
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
            Ok(text[start..].iter().copied().take(count as usize).collect())
        }
        .boxed()
    }

    fn write(&self, _: u64, data: Vec<u8>) -> BoxFuture<'_, FileResult<u32>> {
        let count = u32::try_from(data.len()).expect("a message");
        self.written.lock().extend(data);
        std::future::ready(Ok(count)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, FileResult<()>> {
        if self.kind == Kind::Stuck {
            return std::future::pending().boxed();
        }
        let written = String::from_utf8_lossy(&self.written.lock()).into_owned();
        if !written.is_empty() {
            self.shared.sent.lock().push(written);
        }
        std::future::ready(Ok(())).boxed()
    }
}

/// Bytes as they are written in the tests: hexadecimal digits in groups, and texts in single quotes.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let parts = text.split('\'').enumerate();
    let part = |(position, part): (usize, &str)| match position % 2 {
        1 => part.as_bytes().to_vec(),
        _ => {
            let digits: Vec<u8> = part.bytes().filter(u8::is_ascii_hexdigit).collect();
            let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
            digits.chunks(2).map(|pair| byte(pair).expect("two digits")).collect()
        }
    };
    parts.flat_map(part).collect()
}

/// A client of a session.
pub(super) struct Client {
    stream: DuplexStream,
    pub(super) shared: Arc<Shared>,
    session: JoinHandle<Result<(), SessionError>>,
}

impl Client {
    pub(super) fn new(limits: Limits) -> Self {
        let (stream, server) = tokio::io::duplex(1 << 20);
        let shared = Arc::new(Shared::default());
        let session = Session::new(server, Arc::new(Fake(Arc::clone(&shared))), limits, "unix".to_owned());
        Self { stream, shared, session: tokio::spawn(session.run()) }
    }

    /// A client that has attached as fid 0, in 9P2000.L.
    pub(super) async fn attached(limits: Limits) -> Self {
        let mut client = Self::new(limits);
        client.exchange("15000000 64 ffff 00200000 0800 '9P2000.L'", "15000000 65 ffff 00200000 0800 '9P2000.L'").await;
        let attach = "1d000000 68 0100 00000000 ffffffff 0000 0600 'secret' 00000000";
        client.exchange(attach, "14000000 69 0100 80 00000000 0100000000000000").await;
        client
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the session reads");
    }

    /// Sends until the session does not read any more.
    pub(super) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a message of a type with a tag.
    pub(super) async fn request(&mut self, kind: u8, tag: u16, body: &[&[u8]]) {
        let body = body.concat();
        let size = u32::try_from(body.len() + 7).expect("a message");
        let mut message = size.to_le_bytes().to_vec();
        message.push(kind);
        message.extend(tag.to_le_bytes());
        message.extend(body);
        self.send(&message).await;
    }

    /// The next message: its type, its tag and its body.
    pub(super) async fn response(&mut self) -> (u8, u16, Vec<u8>) {
        let mut header = [0; 7];
        self.stream.read_exact(&mut header).await.expect("a message");
        let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let mut body = vec![0; size as usize - 7];
        self.stream.read_exact(&mut body).await.expect("a whole message");
        (header[4], u16::from_le_bytes([header[5], header[6]]), body)
    }

    /// Sends a message and gives what comes back.
    pub(super) async fn call(&mut self, kind: u8, body: &[&[u8]]) -> (u8, Vec<u8>) {
        self.request(kind, 9, body).await;
        let (kind, tag, body) = self.response().await;
        assert_eq!(tag, 9);
        (kind, body)
    }

    /// Sends a message and compares the response, byte by byte.
    pub(super) async fn exchange(&mut self, request: &str, response: &str) {
        self.send(&bytes(request)).await;
        let wanted = bytes(response);
        let mut answer = vec![0; wanted.len()];
        self.stream.read_exact(&mut answer).await.expect("a message");
        assert_eq!(answer, wanted, "{request}");
    }

    /// Walks from the root to a file by a new fid.
    pub(super) async fn walk(&mut self, fid: u32, name: &str) {
        let name_bytes = name.as_bytes();
        let length = u16::try_from(name.len()).expect("a name").to_le_bytes();
        let body: [&[u8]; 5] = [&0_u32.to_le_bytes(), &fid.to_le_bytes(), &1_u16.to_le_bytes(), &length, name_bytes];
        assert_eq!(self.call(110, &body).await.0, 111, "{name}");
    }

    /// Opens a fid for reading and writing, in 9P2000.L.
    pub(super) async fn open(&mut self, fid: u32, flags: u32) {
        assert_eq!(self.call(12, &[&fid.to_le_bytes(), &flags.to_le_bytes()]).await.0, 13);
    }

    pub(super) async fn clunk(&mut self, fid: u32) {
        assert_eq!(self.call(120, &[&fid.to_le_bytes()]).await.0, 121);
    }

    /// Sends a read of a fid that waits, and lets it begin.
    pub(super) async fn wait(&mut self, fid: u32, tag: u16) {
        let before = self.shared.waiting.load(Ordering::Relaxed);
        self.request(116, tag, &[&fid.to_le_bytes(), &0_u64.to_le_bytes(), &100_u32.to_le_bytes()]).await;
        while self.shared.waiting.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    }

    /// How the session ended of itself.
    pub(super) async fn end(self) -> SessionError {
        self.session.await.expect("no panic").expect_err("it was ended")
    }

    /// Leaves; gives what the session held.
    pub(super) async fn leave(self) -> Arc<Shared> {
        drop(self.stream);
        self.session.await.expect("no panic").expect("it ended well");
        self.shared
    }
}

/// The number in an error of 9P2000.L.
pub(super) fn errno(response: &(u8, Vec<u8>)) -> u32 {
    assert_eq!(response.0, 7, "an error");
    u32::from_le_bytes(response.1.as_slice().try_into().expect("a number"))
}

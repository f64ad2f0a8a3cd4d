//! A client of 9P2000.L, byte by byte.

use elias_tests::serve::PATIENCE;
use serde_json::Value;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

pub(super) const READ: u32 = 0;
pub(super) const WRITE: u32 = 1;
pub(super) const READ_WRITE: u32 = 2;

/// A client of 9P2000.L.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    next_fid: u32,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Client {
    /// Errors are the numbers of the protocol.
    pub(super) async fn attach(socket: &Path, aname: &str) -> Result<Self, u32> {
        Self::over(UnixStream::connect(socket).await.expect("it listens"), aname).await
    }

    pub(super) async fn over(stream: impl Stream + 'static, aname: &str) -> Result<Self, u32> {
        let mut client = Self { stream: Box::new(stream), next_fid: 1 };
        client.call(100, &[&65_536_u32.to_le_bytes(), &text("9P2000.L")]).await?;
        let (root, none) = (0_u32.to_le_bytes(), u32::MAX.to_le_bytes());
        client.call(104, &[&root, &none, &text(""), &text(aname), &none]).await?;
        Ok(client)
    }

    pub(super) async fn send(&mut self, kind: u8, tag: u16, body: &[&[u8]]) {
        let body = body.concat();
        let size = u32::try_from(body.len() + 7).expect("a message");
        let message = [&size.to_le_bytes()[..], &[kind], &tag.to_le_bytes(), &body].concat();
        self.stream.write_all(&message).await.expect("the server reads");
    }

    pub(super) async fn response(&mut self) -> (u16, Result<Vec<u8>, u32>) {
        let mut header = [0; 7];
        let read = timeout(PATIENCE, self.stream.read_exact(&mut header)).await;
        read.expect("an answer").expect("an answer");
        let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let mut body = vec![0; size as usize - 7];
        self.stream.read_exact(&mut body).await.expect("a whole answer");
        let tag = u16::from_le_bytes([header[5], header[6]]);
        if header[4] == 7 {
            return (tag, Err(u32::from_le_bytes(body.as_slice().try_into().expect("a number"))));
        }
        (tag, Ok(body))
    }

    pub(super) async fn call(&mut self, kind: u8, body: &[&[u8]]) -> Result<Vec<u8>, u32> {
        self.send(kind, 1, body).await;
        let (tag, result) = self.response().await;
        assert_eq!(tag, 1);
        result
    }

    /// Walks to a path; gives the fid. The last name is walked to by itself: of a walk that begins well no error is
    /// told.
    pub(super) async fn walk(&mut self, path: &str) -> Result<u32, u32> {
        let fid = self.next_fid;
        self.next_fid += 1;
        let names: Vec<Vec<u8>> = path.split('/').map(text).collect();
        let (last, above) = names.split_last().expect("a name");
        let count = u16::try_from(above.len()).expect("few").to_le_bytes();
        let number = fid.to_le_bytes();
        let walked = self.call(110, &[&[0; 4], &number, &count, &above.concat()]).await?;
        if walked[..2] != count {
            return Err(2);
        }
        if let Err(errno) = self.call(110, &[&number, &number, &1_u16.to_le_bytes(), last]).await {
            self.clunk(fid).await?;
            return Err(errno);
        }
        Ok(fid)
    }

    pub(super) async fn open(&mut self, path: &str, flags: u32) -> Result<u32, u32> {
        let fid = self.walk(path).await?;
        self.call(12, &[&fid.to_le_bytes(), &flags.to_le_bytes()]).await?;
        Ok(fid)
    }

    pub(super) async fn write(&mut self, fid: u32, offset: usize, data: &str) -> Result<(), u32> {
        let count = u32::try_from(data.len()).expect("a message").to_le_bytes();
        let offset = (offset as u64).to_le_bytes();
        let written = self.call(118, &[&fid.to_le_bytes(), &offset, &count, data.as_bytes()]).await?;
        assert_eq!(written, count);
        Ok(())
    }

    pub(super) async fn send_read(&mut self, tag: u16, fid: u32, offset: usize) {
        let body: [&[u8]; 3] = [&fid.to_le_bytes(), &(offset as u64).to_le_bytes(), &60_000_u32.to_le_bytes()];
        self.send(116, tag, &body).await;
    }

    /// Reads from an offset to the end.
    pub(super) async fn read(&mut self, fid: u32, start: usize) -> Result<String, u32> {
        let mut read = Vec::new();
        loop {
            self.send_read(1, fid, start + read.len()).await;
            let part = self.response().await.1?.split_off(4);
            if part.is_empty() {
                return Ok(String::from_utf8(read).expect("a text"));
            }
            read.extend(part);
        }
    }

    pub(super) async fn clunk(&mut self, fid: u32) -> Result<(), u32> {
        self.call(120, &[&fid.to_le_bytes()]).await.map(drop)
    }

    /// Reads a whole file.
    pub(super) async fn cat(&mut self, path: &str) -> Result<String, u32> {
        let fid = self.open(path, READ).await?;
        let read = self.read(fid, 0).await;
        self.clunk(fid).await?;
        read
    }

    /// Sends a message, and gives the answer.
    pub(super) async fn ask(&mut self, mailbox: &str, message: Value) -> Value {
        let message = message.to_string();
        let fid = self.open(mailbox, READ_WRITE).await.expect("opened");
        self.write(fid, 0, &message).await.expect("written");
        let answer = self.read(fid, message.len()).await.expect("read");
        let _ = self.clunk(fid).await; // what went wrong is in the answer, too
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Writes a file from its beginning, and closes it.
    pub(super) async fn put(&mut self, path: &str, data: &str) -> Result<(), u32> {
        let fid = self.open(path, WRITE).await?;
        let written = self.write(fid, 0, data).await;
        let closed = self.clunk(fid).await;
        written.and(closed)
    }
}

/// A text of the protocol.
pub(super) fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [&length.to_le_bytes()[..], text.as_bytes()].concat()
}

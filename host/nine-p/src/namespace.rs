//! What is served: a tree of nodes behind a trait, so that the protocol knows nothing of it.

use crate::errno::{FileError, FileResult};
use crate::request::OpenMode;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Who attaches to a namespace.
#[derive(Debug, Clone, Copy)]
pub struct AttachRequest<'a> {
    /// The token.
    pub token: &'a str,
    /// What stands behind `@` in the attach name: whose tree is wanted, if it is not the token's own.
    pub scope: Option<&'a str>,
    /// The address of the client, `unix` for those of a Unix socket.
    pub peer: &'a str,
}

/// A namespace of files.
pub trait Namespace: Send + Sync + 'static {
    /// The root as the owner of a token sees it. It is asked for at each attach; nodes check themselves whether the
    /// token is still valid.
    ///
    /// # Errors
    /// `EACCES` for a token that is none; see [`FileError`].
    fn attach<'a>(&'a self, request: AttachRequest<'a>) -> BoxFuture<'a, FileResult<Arc<dyn Node>>>;
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// A number that no other file of the server has.
    pub path: u64,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Which file it is.
    pub id: NodeId,
    /// The permissions of its owner, group and others: nine bits.
    pub permissions: u32,
    /// Its bytes; 0 for a directory, and for a file whose length is known only when it is open.
    pub length: u64,
    /// When it was changed last, in seconds since 1970.
    pub modified: u64,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name.
    pub name: String,
    /// What is known of the file.
    pub metadata: Metadata,
}

/// A file that was made, and is open.
pub type NewFile = (Arc<dyn Node>, Box<dyn OpenFile>);

/// A file or a directory.
pub trait Node: Send + Sync + 'static {
    /// Which file it is.
    fn id(&self) -> NodeId;

    /// What is known of it.
    ///
    /// # Errors
    /// See [`FileError`].
    fn metadata(&self) -> BoxFuture<'_, FileResult<Metadata>>;

    /// The file of a name in the directory. The name is not empty, `.` or `..`, and has no slash and no NUL.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`; see [`FileError`].
    fn walk<'a>(&'a self, name: &'a str) -> BoxFuture<'a, FileResult<Arc<dyn Node>>>;

    /// At most so many entries of a directory behind the one of this name, which need not be there any more. The order
    /// must not change between calls. Fewer entries than `limit` are the last ones.
    ///
    /// # Errors
    /// `ENOTDIR`; see [`FileError`].
    fn list<'a>(&'a self, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, FileResult<Vec<DirectoryEntry>>>;

    /// Opens a file. Directories are only listed.
    ///
    /// # Errors
    /// `EACCES`, `EPERM`; see [`FileError`].
    fn open(&self, mode: OpenMode) -> BoxFuture<'_, FileResult<Box<dyn OpenFile>>>;

    /// Gives a file another length. The kernel of Linux asks for a length of 0 where a program opens a file and wants
    /// what it held to be forgotten; where nothing is held, that is done already.
    ///
    /// # Errors
    /// `EPERM` for another length where nobody can; see [`FileError`].
    fn resize(&self, length: u64) -> BoxFuture<'_, FileResult<()>> {
        let result = if length == 0 { Ok(()) } else { Err(FileError::not_permitted()) };
        std::future::ready(result).boxed()
    }

    /// Makes a file in the directory and opens it. The name is as of [`Node::walk`].
    ///
    /// # Errors
    /// `EPERM` where nobody can; see [`FileError`].
    fn create<'a>(&'a self, name: &'a str, mode: OpenMode) -> BoxFuture<'a, FileResult<NewFile>> {
        let _ = (name, mode);
        std::future::ready(Err(FileError::not_permitted())).boxed()
    }
}

/// A file that is open. Futures that are dropped have been flushed or their client is gone; the file must bear that.
pub trait OpenFile: Send + Sync + 'static {
    /// At most `count` bytes from an offset on; none at the end. It may wait for as long as it takes.
    ///
    /// # Errors
    /// See [`FileError`].
    fn read(&self, offset: u64, count: u32) -> BoxFuture<'_, FileResult<Vec<u8>>>;

    /// Writes bytes at an offset; gives how many.
    ///
    /// # Errors
    /// See [`FileError`].
    fn write(&self, offset: u64, data: Vec<u8>) -> BoxFuture<'_, FileResult<u32>>;

    /// The client has closed the file. It is not called where the connection has ended: what was not finished then is
    /// not done.
    ///
    /// # Errors
    /// See [`FileError`].
    fn close(&self) -> BoxFuture<'_, FileResult<()>>;
}

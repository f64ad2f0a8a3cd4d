//! Why an operation on a file fails.

use std::fmt;

/// Defines the numbers, which are those of Linux, with the texts that 9P2000 has for them.
macro_rules! errno {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $symbol:literal;)*) => {
        /// An error number of Linux, which 9P2000.L sends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Errno {
            $($(#[$doc])* $name = $number,)*
        }

        impl Errno {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its symbol, such as `ENOENT`.
            #[must_use]
            pub fn symbol(self) -> &'static str {
                match self { $(Self::$name => $symbol,)* }
            }
        }
    };
}

errno! {
    /// The operation is not one for this file.
    NotPermitted = 1, "EPERM";
    /// There is no such file.
    NotFound = 2, "ENOENT";
    /// The read was ended because its file was closed.
    Interrupted = 4, "EINTR";
    /// What stands behind the file failed.
    Io = 5, "EIO";
    /// No such fid, or it is not open for this.
    BadFid = 9, "EBADF";
    /// Too much is under way; later it may go.
    TryAgain = 11, "EAGAIN";
    /// The token may not do this.
    AccessDenied = 13, "EACCES";
    /// It is in use.
    Busy = 16, "EBUSY";
    /// It exists already.
    Exists = 17, "EEXIST";
    /// A name goes on behind what is no directory.
    NotADirectory = 20, "ENOTDIR";
    /// A directory is read and written by listing it.
    IsADirectory = 21, "EISDIR";
    /// A malformed request, message or command.
    Invalid = 22, "EINVAL";
    /// Too many fids or open files.
    TooManyFiles = 24, "EMFILE";
    /// Too many bytes.
    TooLarge = 27, "EFBIG";
    /// There is no room.
    NoSpace = 28, "ENOSPC";
    /// A name has too many bytes.
    NameTooLong = 36, "ENAMETOOLONG";
    /// The server does not have the operation.
    NotSupported = 95, "EOPNOTSUPP";
    /// It did not answer in time.
    TimedOut = 110, "ETIMEDOUT";
    /// It is not available at the moment.
    Unavailable = 112, "EHOSTDOWN";
    /// The handler of a worker threw.
    Exception = 121, "EREMOTEIO";
    /// A quota is used up.
    Quota = 122, "EDQUOT";
}

/// A failed operation: the number, which 9P2000.L sends, and the text, which 9P2000 sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The number.
    pub errno: Errno,
    /// For people: what is wrong.
    pub message: String,
}

impl FileError {
    /// An error with a text of its own.
    pub fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self { errno, message: message.into() }
    }

    /// `ENOENT`.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Errno::NotFound, "no such file or directory")
    }

    /// `EPERM`.
    #[must_use]
    pub fn not_permitted() -> Self {
        Self::new(Errno::NotPermitted, "operation not permitted")
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FileError {}

/// The result of an operation on files.
pub type FileResult<T> = Result<T, FileError>;

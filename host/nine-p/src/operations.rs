//! What a request does. Each is a future that can be dropped at any time, and leaves no trace then.

use crate::errno::{Errno, FileError, FileResult};
use crate::fids::{Fid, Fids, Open, Opened, Place};
use crate::limits::{Limits, TOKEN_BYTES_MAX};
use crate::namespace::{AttachRequest, Namespace};
use crate::reply::Reply;
use crate::request::{Dialect, NO_FID, OpenMode, Request};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of a name: more than any file here has.
const NAME_BYTES_MAX: usize = 1_024;

/// Bytes around the data of a read or a write.
const IO_HEADER_BYTES: u32 = 24;

/// What the requests of a session share, from one agreement on a version to the next.
pub(crate) struct Context {
    pub(crate) namespace: Arc<dyn Namespace>,
    pub(crate) limits: Limits,
    pub(crate) peer: String,
    pub(crate) dialect: Dialect,
    /// Bytes of a message, as agreed.
    pub(crate) message_bytes: u32,
    pub(crate) fids: Mutex<Fids>,
    /// As many permits as further bytes may be held by places.
    pub(crate) place_bytes: Arc<Semaphore>,
}

impl Context {
    /// Does what a request asks for. Those about the session itself are not among them.
    pub(crate) async fn perform(self: Arc<Self>, request: Request) -> FileResult<Reply> {
        match request {
            Request::Auth { afid, aname } => self.authenticate(afid, &aname),
            Request::Attach { fid, afid, aname } => self.attach(fid, afid, &aname).await,
            Request::Walk { fid, new_fid, names } => self.walk(fid, new_fid, &names).await,
            Request::Open { fid, mode } => self.open(fid, mode).await,
            Request::Create { fid, name, mode, is_file: true } => self.create(fid, &name, mode).await,
            Request::Create { .. } => Err(FileError::not_permitted()),
            Request::Read { fid, offset, count } => self.read(fid, offset, count).await,
            Request::Write { fid, offset, data } => self.write(fid, offset, data).await,
            Request::ReadDirectory { fid, offset, count } => {
                Ok(Reply::ReadDirectory(self.read_directory(fid, offset, count).await?))
            }
            Request::Stat { fid } => {
                let place = self.fids.lock().place(fid)?;
                Ok(Reply::Stat { name: place.name.clone(), metadata: place.node.metadata().await? })
            }
            Request::Attributes { fid } => {
                let place = self.fids.lock().place(fid)?;
                Ok(Reply::Attributes(place.node.metadata().await?))
            }
            Request::Change { fid, is_harmless, length } => {
                let place = self.fids.lock().place(fid)?;
                if !is_harmless {
                    return Err(FileError::not_permitted());
                }
                if let Some(length) = length {
                    place.node.resize(length).await?;
                }
                Ok(Reply::Change)
            }
            Request::FileSystem { fid } => self.fids.lock().place(fid).map(|_| Reply::FileSystem),
            Request::Sync { fid } => self.fids.lock().place(fid).map(|_| Reply::Sync),
            Request::Version { .. }
            | Request::Flush { .. }
            | Request::Clunk { .. }
            | Request::Remove { .. }
            | Request::Unsupported => Err(FileError::new(Errno::NotSupported, "operation not supported")),
        }
    }

    /// Bytes of data in a message.
    fn io_unit(&self) -> u32 {
        self.message_bytes - IO_HEADER_BYTES
    }

    fn authenticate(&self, afid: u32, aname: &str) -> FileResult<Reply> {
        if !AttachName::of(aname).token.is_empty() {
            // Clients take this as: attach without.
            return Err(FileError::new(Errno::NotFound, "the attach name has a token: no authentication is needed"));
        }
        self.fids.lock().reserve(afid, Fid::Token(Vec::new()))?;
        Ok(Reply::Auth)
    }

    async fn attach(&self, fid: u32, afid: u32, aname: &str) -> FileResult<Reply> {
        let AttachName { token, scope, path } = AttachName::of(aname);
        let reservation = self.reserve(fid)?;
        let written = match afid {
            NO_FID => None,
            _ => Some(self.fids.lock().token(afid)?.clone()),
        };
        let token = match &written {
            Some(written) => std::str::from_utf8(written).unwrap_or_default().trim(),
            None => token,
        };
        let request = AttachRequest { token, scope, peer: &self.peer };
        let mut place = Place::root(self.namespace.attach(request).await?, &self.place_bytes)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            place = self.step(&place, name).await?;
        }
        // Nothing above it can be walked to.
        let place = Place::root(Arc::clone(&place.node), &self.place_bytes)?;
        let id = place.node.id();
        reservation.settle(place);
        Ok(Reply::Attach(id))
    }

    async fn walk(&self, fid: u32, new_fid: u32, names: &[String]) -> FileResult<Reply> {
        let (mut place, reservation) = if new_fid == fid {
            (self.fids.lock().closed(fid)?, None)
        } else {
            let place = self.fids.lock().place(fid)?;
            (place, Some(self.reserve(new_fid)?))
        };
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            match self.step(&place, name).await {
                Ok(next) => {
                    ids.push(next.node.id());
                    place = next;
                }
                Err(error) if ids.is_empty() => return Err(error),
                // As far as it went; the new fid stands for nothing.
                Err(_) => return Ok(Reply::Walk(ids)),
            }
        }
        match reservation {
            Some(reservation) => reservation.settle(place),
            None => self.fids.lock().replace(fid, place)?,
        }
        Ok(Reply::Walk(ids))
    }

    async fn step(&self, place: &Arc<Place>, name: &str) -> FileResult<Arc<Place>> {
        match name {
            "." => return Ok(Arc::clone(place)),
            ".." => return Ok(Place::above(place)),
            _ => check_name(name)?,
        }
        if !place.node.id().is_directory {
            return Err(FileError::new(Errno::NotADirectory, "not a directory"));
        }
        if place.depth >= self.limits.depth {
            return Err(FileError::new(Errno::NameTooLong, "too many directories above the file"));
        }
        Place::child(place, name, place.node.walk(name).await?, &self.place_bytes)
    }

    async fn open(&self, fid: u32, mode: OpenMode) -> FileResult<Reply> {
        let opening = self.begin_open(fid)?;
        let place = Arc::clone(&opening.place);
        let id = place.node.id();
        let open = if id.is_directory {
            if mode.write || mode.truncate {
                return Err(FileError::new(Errno::IsADirectory, "is a directory"));
            }
            Open::Directory(tokio::sync::Mutex::default())
        } else {
            if mode.directory {
                return Err(FileError::new(Errno::NotADirectory, "not a directory"));
            }
            Open::File { file: place.node.open(mode).await?, mode }
        };
        opening.settle(place, open)?;
        Ok(Reply::Open { id, io_unit: self.io_unit() })
    }

    async fn create(&self, fid: u32, name: &str, mode: OpenMode) -> FileResult<Reply> {
        if matches!(name, "." | "..") {
            return Err(FileError::new(Errno::Exists, "file exists"));
        }
        check_name(name)?;
        let opening = self.begin_open(fid)?;
        let directory = Arc::clone(&opening.place);
        if !directory.node.id().is_directory {
            return Err(FileError::new(Errno::NotADirectory, "not a directory"));
        }
        if directory.depth >= self.limits.depth {
            return Err(FileError::new(Errno::NameTooLong, "too many directories above the file"));
        }
        let (node, file) = directory.node.create(name, mode).await?;
        let id = node.id();
        let place = Place::child(&directory, name, node, &self.place_bytes)?;
        opening.settle(place, Open::File { file, mode })?;
        Ok(Reply::Create { id, io_unit: self.io_unit() })
    }

    async fn read(&self, fid: u32, offset: u64, count: u32) -> FileResult<Reply> {
        let opened = self.fids.lock().open(fid)?.1;
        match &opened.open {
            Open::File { file, mode } if mode.read => {
                let count = count.min(self.io_unit());
                let mut bytes = file.read(offset, count).await?;
                bytes.truncate(count as usize);
                Ok(Reply::Read(bytes))
            }
            Open::File { .. } => Err(FileError::new(Errno::BadFid, "the file is not open for reading")),
            Open::Directory(_) if self.dialect == Dialect::Plain => {
                Ok(Reply::Read(self.read_directory(fid, offset, count).await?))
            }
            Open::Directory(_) => Err(FileError::new(Errno::IsADirectory, "is a directory")),
        }
    }

    async fn read_directory(&self, fid: u32, offset: u64, count: u32) -> FileResult<Vec<u8>> {
        let (place, opened) = self.fids.lock().open(fid)?;
        let Open::Directory(listing) = &opened.open else {
            return Err(FileError::new(Errno::NotADirectory, "not a directory"));
        };
        let mut listing = listing.lock().await;
        listing.read(&*place.node, self.dialect, offset, count.min(self.io_unit()) as usize).await
    }

    async fn write(&self, fid: u32, offset: u64, data: Vec<u8>) -> FileResult<Reply> {
        if let Ok(token) = self.fids.lock().token(fid) {
            if token.len() + data.len() > TOKEN_BYTES_MAX {
                return Err(FileError::new(Errno::TooLarge, "the token is too long"));
            }
            token.extend_from_slice(&data);
            // At most the bytes of a token.
            return Ok(Reply::Write(u32::try_from(data.len()).unwrap_or(u32::MAX)));
        }
        let opened = self.fids.lock().open(fid)?.1;
        match &opened.open {
            Open::File { file, mode } if mode.write => Ok(Reply::Write(file.write(offset, data).await?)),
            Open::File { .. } => Err(FileError::new(Errno::BadFid, "the file is not open for writing")),
            Open::Directory(_) => Err(FileError::new(Errno::IsADirectory, "is a directory")),
        }
    }

    fn reserve(&self, fid: u32) -> FileResult<Reservation<'_>> {
        self.fids.lock().reserve(fid, Fid::Reserved)?;
        Ok(Reservation { fids: &self.fids, fid, place: None })
    }

    fn begin_open(&self, fid: u32) -> FileResult<Opening<'_>> {
        let place = self.fids.lock().begin_open(fid)?;
        Ok(Opening { fids: &self.fids, fid, place, is_settled: false })
    }
}

/// Closes what was open by a fid that is forgotten.
pub(crate) async fn close(opened: Option<Arc<Opened>>) -> FileResult<()> {
    match opened.as_deref().map(|opened| &opened.open) {
        Some(Open::File { file, .. }) => file.close().await,
        Some(Open::Directory(_)) | None => Ok(()),
    }
}

/// `TOKEN[@SCOPE][/PATH]`; the token is empty where it was written to an authentication file.
#[derive(Debug, PartialEq, Eq)]
struct AttachName<'a> {
    token: &'a str,
    scope: Option<&'a str>,
    path: &'a str,
}

impl<'a> AttachName<'a> {
    fn of(aname: &'a str) -> Self {
        let (subject, path) = aname.split_once('/').unwrap_or((aname, ""));
        match subject.split_once('@') {
            Some((token, scope)) => Self { token, scope: Some(scope), path },
            None => Self { token: subject, scope: None, path },
        }
    }
}

fn check_name(name: &str) -> FileResult<()> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(FileError::not_found());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(FileError::new(Errno::NameTooLong, "the name is too long"));
    }
    Ok(())
}

/// A number that is taken while it is found out what it stands for, and free again if that fails.
struct Reservation<'a> {
    fids: &'a Mutex<Fids>,
    fid: u32,
    place: Option<Arc<Place>>,
}

impl Reservation<'_> {
    fn settle(mut self, place: Arc<Place>) {
        self.place = Some(place);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.fids.lock().settle(self.fid, self.place.take());
    }
}

/// A fid that is being opened, and is closed again if that fails.
struct Opening<'a> {
    fids: &'a Mutex<Fids>,
    fid: u32,
    place: Arc<Place>,
    is_settled: bool,
}

impl Opening<'_> {
    fn settle(mut self, place: Arc<Place>, open: Open) -> FileResult<()> {
        self.is_settled = true;
        self.fids.lock().end_open(self.fid, &self.place, Some((place, open)))
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            // The client may have closed it meanwhile.
            let _ = self.fids.lock().end_open(self.fid, &self.place, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attach_name_has_a_token_a_scope_and_a_path() {
        for (aname, token, scope, path) in [
            ("", "", None, ""),
            ("elias_x", "elias_x", None, ""),
            ("elias_x/services/shop", "elias_x", None, "services/shop"),
            ("elias_x@acme", "elias_x", Some("acme"), ""),
            ("@acme/services", "", Some("acme"), "services"),
            ("/services", "", None, "services"),
        ] {
            assert_eq!(AttachName::of(aname), AttachName { token, scope, path }, "{aname}");
        }
    }
}

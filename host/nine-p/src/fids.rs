//! The fids of a connection: names that the client gave to files.

use crate::errno::{Errno, FileError, FileResult};
use crate::limits::{Limits, TOKEN_FILES_MAX};
use crate::listing::Listing;
use crate::namespace::{Node, OpenFile};
use crate::request::{NO_FID, OpenMode};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that a place takes without names, and each name of a path beside its characters, about.
const PLACE_BYTES: usize = 512;
const NAME_BYTES: usize = 64;

/// A file and the directories on the way to it.
pub(crate) struct Place {
    pub(crate) node: Arc<dyn Node>,
    /// Its name; `/` for the root.
    pub(crate) name: String,
    /// None for the root.
    pub(crate) parent: Option<Arc<Place>>,
    /// Directories above it.
    pub(crate) depth: usize,
    /// Bytes of the names from the root on.
    path_bytes: usize,
    _held: OwnedSemaphorePermit,
}

impl Place {
    /// The root. Like every place it is held within the bytes of its connection.
    ///
    /// # Errors
    /// `EMFILE` if the connection holds too many.
    pub(crate) fn root(node: Arc<dyn Node>, bytes: &Arc<Semaphore>) -> FileResult<Arc<Self>> {
        let held = hold(bytes, 0)?;
        Ok(Arc::new(Self { node, name: "/".to_owned(), parent: None, depth: 0, path_bytes: 0, _held: held }))
    }

    /// A file of a directory.
    ///
    /// # Errors
    /// As of [`Place::root`].
    pub(crate) fn child(
        parent: &Arc<Self>,
        name: &str,
        node: Arc<dyn Node>,
        bytes: &Arc<Semaphore>,
    ) -> FileResult<Arc<Self>> {
        let path_bytes = parent.path_bytes + NAME_BYTES + name.len();
        let held = hold(bytes, path_bytes)?;
        let (depth, name, parent) = (parent.depth + 1, name.to_owned(), Some(Arc::clone(parent)));
        Ok(Arc::new(Self { node, name, parent, depth, path_bytes, _held: held }))
    }

    /// The directory above; that of the root is the root.
    pub(crate) fn above(place: &Arc<Self>) -> Arc<Self> {
        Arc::clone(place.parent.as_ref().unwrap_or(place))
    }
}

/// Takes what a place needs, whose node may have its whole path. It is free again when the place is forgotten.
fn hold(bytes: &Arc<Semaphore>, path_bytes: usize) -> FileResult<OwnedSemaphorePermit> {
    let full = || FileError::new(Errno::TooManyFiles, "the fids hold too many names");
    let needed = u32::try_from(PLACE_BYTES + path_bytes).map_err(|_| full())?;
    Arc::clone(bytes).try_acquire_many_owned(needed).map_err(|_| full())
}

/// What is open.
pub(crate) enum Open {
    File { file: Box<dyn OpenFile>, mode: OpenMode },
    Directory(tokio::sync::Mutex<Listing>),
}

/// What is open, with its share of the open files: it is counted until it is closed and no request uses it any more.
pub(crate) struct Opened {
    pub(crate) open: Open,
    _slot: OwnedSemaphorePermit,
}

/// What a fid stands for.
pub(crate) enum Fid {
    /// It is being attached or walked to.
    Reserved,
    /// The token that the client writes before it attaches.
    Token(Vec<u8>),
    /// A file that is not open.
    Closed(Arc<Place>),
    /// A file that is being opened.
    Opening(Arc<Place>, OwnedSemaphorePermit),
    /// A file that is open.
    Open(Arc<Place>, Arc<Opened>),
}

/// The fids of a connection, by number.
pub(crate) struct Fids {
    fids: HashMap<u32, Fid>,
    /// As many permits as further files may be open.
    slots: Arc<Semaphore>,
    fids_max: usize,
    open_max: usize,
}

/// `EBADF`.
pub(crate) fn bad_fid() -> FileError {
    FileError::new(Errno::BadFid, "bad fid")
}

impl Fids {
    pub(crate) fn new(limits: &Limits) -> Self {
        let open_max = limits.open_files.min(Semaphore::MAX_PERMITS);
        Self { fids: HashMap::new(), slots: Arc::new(Semaphore::new(open_max)), fids_max: limits.fids, open_max }
    }

    /// Whether somebody has attached, and not forgotten all files since or still closes some.
    pub(crate) fn is_attached(&self) -> bool {
        let is_file = |fid: &Fid| matches!(fid, Fid::Closed(_) | Fid::Opening(..) | Fid::Open(..));
        self.slots.available_permits() < self.open_max || self.fids.values().any(is_file)
    }

    /// Takes a number that stands for nothing yet.
    ///
    /// # Errors
    /// `EBADF` if it does already, or is none; `EMFILE`.
    pub(crate) fn reserve(&mut self, fid: u32, with: Fid) -> FileResult<()> {
        if fid == NO_FID || self.fids.contains_key(&fid) {
            return Err(FileError::new(Errno::BadFid, "the fid is in use"));
        }
        if self.fids.len() >= self.fids_max {
            return Err(FileError::new(Errno::TooManyFiles, "too many fids"));
        }
        // Tokens are held before anybody has attached.
        let tokens = || self.fids.values().filter(|fid| matches!(fid, Fid::Token(_))).count();
        if matches!(with, Fid::Token(_)) && tokens() >= TOKEN_FILES_MAX {
            return Err(FileError::new(Errno::TooManyFiles, "too many authentication files"));
        }
        self.fids.insert(fid, with);
        Ok(())
    }

    /// What a reserved number stands for from now on; nothing with none.
    pub(crate) fn settle(&mut self, fid: u32, place: Option<Arc<Place>>) {
        match place {
            Some(place) => self.fids.insert(fid, Fid::Closed(place)),
            None => self.fids.remove(&fid),
        };
    }

    pub(crate) fn get(&self, fid: u32) -> FileResult<&Fid> {
        self.fids.get(&fid).ok_or_else(bad_fid)
    }

    /// The token that a fid holds.
    pub(crate) fn token(&mut self, fid: u32) -> FileResult<&mut Vec<u8>> {
        match self.fids.get_mut(&fid) {
            Some(Fid::Token(token)) => Ok(token),
            _ => Err(bad_fid()),
        }
    }

    /// The file that a fid stands for, open or not.
    pub(crate) fn place(&self, fid: u32) -> FileResult<Arc<Place>> {
        match self.get(fid)? {
            Fid::Closed(place) | Fid::Opening(place, _) | Fid::Open(place, _) => Ok(Arc::clone(place)),
            Fid::Reserved | Fid::Token(_) => Err(bad_fid()),
        }
    }

    /// The file that a fid stands for, which is not open.
    pub(crate) fn closed(&self, fid: u32) -> FileResult<Arc<Place>> {
        match self.get(fid)? {
            Fid::Closed(place) => Ok(Arc::clone(place)),
            _ => Err(bad_fid()),
        }
    }

    /// What is open by a fid.
    pub(crate) fn open(&self, fid: u32) -> FileResult<(Arc<Place>, Arc<Opened>)> {
        match self.get(fid)? {
            Fid::Open(place, opened) => Ok((Arc::clone(place), Arc::clone(opened))),
            _ => Err(bad_fid()),
        }
    }

    /// Begins to open what a fid stands for.
    ///
    /// # Errors
    /// `EBADF`, `EMFILE`.
    pub(crate) fn begin_open(&mut self, fid: u32) -> FileResult<Arc<Place>> {
        let place = self.closed(fid)?;
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| FileError::new(Errno::TooManyFiles, "too many open files"))?;
        self.fids.insert(fid, Fid::Opening(Arc::clone(&place), slot));
        Ok(place)
    }

    /// The end of opening: what is open, and of which file, or nothing if it failed. It is forgotten if the client has
    /// closed the fid meanwhile.
    ///
    /// # Errors
    /// `EBADF` in that case.
    pub(crate) fn end_open(
        &mut self,
        fid: u32,
        begun: &Arc<Place>,
        opened: Option<(Arc<Place>, Open)>,
    ) -> FileResult<()> {
        match self.fids.remove(&fid) {
            Some(Fid::Opening(place, slot)) if Arc::ptr_eq(&place, begun) => {
                let state = match opened {
                    Some((place, open)) => Fid::Open(place, Arc::new(Opened { open, _slot: slot })),
                    None => Fid::Closed(place),
                };
                self.fids.insert(fid, state);
                Ok(())
            }
            other => {
                if let Some(other) = other {
                    self.fids.insert(fid, other);
                }
                Err(bad_fid())
            }
        }
    }

    /// Has a fid that is not open stand for another file.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn replace(&mut self, fid: u32, place: Arc<Place>) -> FileResult<()> {
        self.closed(fid)?;
        self.fids.insert(fid, Fid::Closed(place));
        Ok(())
    }

    /// Forgets a fid; gives what was open by it.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn remove(&mut self, fid: u32) -> FileResult<Option<Arc<Opened>>> {
        if matches!(self.get(fid)?, Fid::Reserved) {
            return Err(bad_fid());
        }
        match self.fids.remove(&fid) {
            Some(Fid::Open(_, opened)) => Ok(Some(opened)),
            _ => Ok(None),
        }
    }
}

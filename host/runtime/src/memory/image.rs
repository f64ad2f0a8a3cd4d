//! What a memory holds before an execution begins.

use crate::cache::CompiledCache;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io::{self, Write};
use std::ptr::NonNull;

/// The beginning of a component's memories: a file, so that what a guest does not write to is in this machine's memory
/// once, whoever uses it, and can be read again if memory is short.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is only read.
unsafe impl Send for Image {}
// SAFETY: as for `Send`.
unsafe impl Sync for Image {}

impl Image {
    /// The image of the component with this digest, whose memory begins as `memory`. Its file is kept in the cache, if
    /// there is one.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(crate) fn new(cache: Option<&CompiledCache>, digest: &str, memory: &[u8]) -> io::Result<Self> {
        let name = format!("{digest}.image");
        if let Some(cache) = cache {
            let kept = cache.image(&name).and_then(|file| Self::map(file, memory.len()).ok());
            // What is in the component is the truth: to compare is cheaper than a digest.
            if let Some(kept) = kept.filter(|kept| kept.bytes() == memory) {
                return Ok(kept);
            }
            match cache.keep_image(&name, memory) {
                Ok(file) => return Self::map(file, memory.len()),
                Err(error) => tracing::warn!(%error, "an image could not be kept; it is in memory instead"),
            }
        }
        let mut file = File::from(memfd_create("image", MemfdFlags::CLOEXEC)?);
        file.write_all(memory)?;
        Self::map(file, memory.len())
    }

    fn map(file: File, len: usize) -> io::Result<Self> {
        // What lies beyond the end of a file cannot be read.
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address that the system chooses, which is only read. The file is in a folder of this user
        // alone, or has no name, and nobody shortens it.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, start, len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` is there, and nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it: those that `bytes` gives do not outlive `self`.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            tracing::error!(%error, "an image cannot be unmapped");
        }
    }
}

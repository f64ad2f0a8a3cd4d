//! The files that memory images are mapped from.

use crate::compiled_cache::CompiledCache;
use rustix::fs::{MemfdFlags, fstatfs, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// Bytes of a file, mapped for reading. All mappings share the pages that no guest writes to, and the system can read
/// those again if memory is short.
#[derive(Debug)]
pub(super) struct ImageFile {
    file: File,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is only read.
unsafe impl Send for ImageFile {}
// SAFETY: as for `Send`.
unsafe impl Sync for ImageFile {}

impl ImageFile {
    /// A file with this content, one byte at least. It is kept under this name in the cache, if there is one.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(super) fn new(cache: Option<&CompiledCache>, name: &str, content: &[u8]) -> io::Result<Self> {
        let len = content.len();
        if let Some(cache) = cache {
            if let Some(file) = cache.image(name).filter(|file| has(file, content)) {
                return Self::map(file, len);
            }
            match cache.keep_image(name, |file| write(file, content)) {
                Ok(file) if is_on_disk(&file) => return Self::map(file, len),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the memory image of a component cannot be written to a file; it is kept in memory"
                    );
                }
            }
        }
        let file = File::from(memfd_create("image", MemfdFlags::CLOEXEC)?);
        write(&file, content)?;
        Self::map(file, len)
    }

    fn map(file: File, len: usize) -> io::Result<Self> {
        // Pages beyond the end of a file cannot be read.
        if file.metadata()?.len() < len as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address that the system chooses, which is only read. The file is in a folder of
        // this user alone, or has no name, and nobody shortens it.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, start, len })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` is there, and nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it: those that `bytes` gives do not outlive `self`.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.len) } {
            tracing::error!(%error, "the memory image of a component cannot be unmapped");
        }
    }
}

/// Writes an image. Where there are only zeros the file has holes.
fn write(file: &File, content: &[u8]) -> io::Result<()> {
    file.set_len(content.len() as u64)?;
    let page = rustix::param::page_size();
    let zeros = vec![0; page];
    let mut pages = content.chunks(page).enumerate().peekable();
    while let Some((first, _)) = pages.find(|(_, bytes)| **bytes != zeros[..bytes.len()]) {
        let mut end = first + 1;
        while let Some((number, _)) = pages.next_if(|(_, bytes)| **bytes != zeros[..bytes.len()]) {
            end = number + 1;
        }
        let bytes = &content[first * page..(end * page).min(content.len())];
        file.write_all_at(bytes, (first * page) as u64)?;
    }
    Ok(())
}

/// Whether a file's holes can be read whatever else is in its file system. To read a hole of a file in a temporary file
/// system (tmpfs) takes room there, and where there is none ends the process.
fn is_on_disk(file: &File) -> bool {
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
    fstatfs(file).is_ok_and(|system| system.f_type != TMPFS_MAGIC)
}

/// Whether a file holds this, which was made of the component and is the truth: to compare is cheaper than a digest,
/// and a file that was lost in part when the machine stopped is found. Read, and not mapped: what is looked at once is
/// no memory of ours.
fn has(file: &File, content: &[u8]) -> bool {
    if !is_on_disk(file) || file.metadata().is_ok_and(|metadata| metadata.len() != content.len() as u64) {
        return false;
    }
    let mut buffer = vec![0; content.len().min(64 << 10)];
    let mut at = 0;
    content.chunks(buffer.len().max(1)).all(|wanted| {
        let found = &mut buffer[..wanted.len()];
        let same = file.read_exact_at(found, at).is_ok() && found == wanted;
        at += wanted.len() as u64;
        same
    })
}

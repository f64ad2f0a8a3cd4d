//! Memory images: what a memory holds before an execution begins.
//!
//! The images of one engine are alike: each is the base, and the pages in which it differs. A host has the base in one
//! file, which all memories of all components map, and of a component a file with its own pages. These are few ranges,
//! so that a memory is few mappings: where ranges lie near to each other, the base's pages between them are the
//! component's too.

use super::file::ImageFile;
use crate::compiled_cache::CompiledCache;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Ranges of a component's own. Each is a mapping of every memory, and splits another: a thousand memories stay far
/// below what a process may have (65,530, unless the system was told otherwise).
const RANGES_MAX: usize = 8;

/// The memory with which the images of an engine begin.
#[derive(Debug)]
pub(crate) struct Base {
    file: ImageFile,
}

impl Base {
    /// The base with this digest. Its file is kept in the cache, if there is one.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(crate) fn new(cache: Option<&CompiledCache>, digest: &str, memory: &[u8]) -> io::Result<Self> {
        let file = ImageFile::new(cache, &format!("{digest}.image"), memory)?;
        Ok(Self { file })
    }

    fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The base's bytes at `place`, without those that lie beyond its end.
    fn part(&self, place: Range<usize>) -> &[u8] {
        let bytes = self.bytes();
        &bytes[place.start.min(bytes.len())..place.end.min(bytes.len())]
    }
}

/// The beginning of a component's memories.
#[derive(Debug)]
pub(crate) struct Image {
    len: usize,
    base: Option<Arc<Base>>,
    /// The ranges that are not the base's, in order, one after the other in the file.
    own: Vec<Own>,
    file: ImageFile,
}

#[derive(Debug)]
struct Own {
    place: Range<usize>,
    /// Where it begins in the file.
    offset: usize,
}

/// Part of a file that is mapped into a memory.
pub(super) struct FileMapping<'a> {
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) file: &'a File,
    pub(super) offset: usize,
}

impl Image {
    /// The image of the component with this digest, whose memory has `len` bytes and begins with `data`, by address,
    /// and zeros. What equals one of the bases is shared with it; the rest is in a file that is kept in the cache, if
    /// there is one.
    ///
    /// # Errors
    /// If the system has no room for it.
    pub(crate) fn whole(
        cache: Option<&CompiledCache>,
        digest: &str,
        len: usize,
        data: &[(usize, &[u8])],
        bases: &[Arc<Base>],
    ) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let own_pages = |base: &Base| -> Vec<usize> {
            let mut assembled = vec![0; page];
            let differs = |number: &usize| {
                let place = number * page..((number + 1) * page).min(len);
                let own: &[u8] = match part_of(data, &place) {
                    Some(bytes) => bytes,
                    None => {
                        let own = &mut assembled[..place.len()];
                        own.fill(0);
                        write_data(data, &place, own);
                        own
                    }
                };
                base.part(place) != own
            };
            (0..len.div_ceil(page)).filter(differs).collect()
        };
        let nearest = bases.iter().map(|base| (own_pages(base), base)).min_by_key(|(pages, _)| pages.len());
        // Of another engine the base has nothing in common but by chance.
        match nearest.filter(|(pages, _)| pages.len() < len / page / 2) {
            Some((pages, base)) => Self::of(cache, digest, len, Some(Arc::clone(base)), &pages, |place, out| {
                write_data(data, &place, out);
            }),
            None => {
                let mut memory = vec![0; len];
                write_data(data, &(0..len), &mut memory);
                let file = ImageFile::new(cache, &format!("{digest}.image"), &memory)?;
                Ok(Self { len, base: None, own: vec![Own { place: 0..len, offset: 0 }], file })
            }
        }
    }

    /// The same, where `data` is what differs from a base, beyond whose end are zeros.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub(crate) fn difference(
        cache: Option<&CompiledCache>,
        digest: &str,
        len: usize,
        data: &[(usize, &[u8])],
        base: &Arc<Base>,
    ) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let mut pages: Vec<usize> = Vec::new();
        for (at, bytes) in data.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            pages.extend(at / page..=(at + bytes.len() - 1) / page);
        }
        pages.dedup();
        Self::of(cache, digest, len, Some(Arc::clone(base)), &pages, |place, out| {
            let known = base.part(place.clone());
            out[..known.len()].copy_from_slice(known);
            write_data(data, &place, out);
        })
    }

    /// An image with these pages of its own, in order, and what lies beyond the base; `fill` writes what is at a place.
    fn of(
        cache: Option<&CompiledCache>,
        digest: &str,
        len: usize,
        base: Option<Arc<Base>>,
        pages: &[usize],
        fill: impl Fn(Range<usize>, &mut [u8]),
    ) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let base_len = base.as_ref().map_or(0, |base| base.bytes().len()).min(len);
        let mut places: Vec<Range<usize>> = Vec::new();
        let beyond = (base_len < len).then_some(base_len..len);
        // A component has one range at least: a file cannot be empty where it is mapped.
        let first = (pages.is_empty() && beyond.is_none()).then_some(0..page.min(len));
        let own = pages.iter().map(|number| number * page..((number + 1) * page).min(len));
        for place in first.into_iter().chain(own.filter(|place| place.start < base_len)).chain(beyond) {
            match places.last_mut() {
                Some(last) if last.end == place.start => last.end = place.end,
                _ => places.push(place),
            }
        }
        let mut offset = 0;
        let mut own = Vec::new();
        for place in join(places, RANGES_MAX) {
            let bytes = place.len();
            own.push(Own { place, offset });
            offset += bytes;
        }
        let mut content = vec![0; offset];
        for Own { place, offset } in &own {
            fill(place.clone(), &mut content[*offset..offset + place.len()]);
        }
        let file = ImageFile::new(cache, &format!("{digest}.image"), &content)?;
        Ok(Self { len, base, own, file })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// SHA-256 of its length, as eight bytes in little-endian order, and its bytes; in hexadecimal. The same whatever
    /// of it is shared. It takes milliseconds.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update((self.len as u64).to_le_bytes());
        self.parts(0..self.len).for_each(|(_, part)| hasher.update(part));
        format!("{:x}", hasher.finalize())
    }

    /// The mappings of a memory. A later one covers an earlier one.
    pub(super) fn mapped(&self) -> impl Iterator<Item = FileMapping<'_>> {
        let base = self.base.iter().map(|base| FileMapping {
            at: 0,
            len: base.bytes().len().min(self.len),
            file: base.file.file(),
            offset: 0,
        });
        let file = self.file.file();
        let own = self.own.iter().map(move |Own { place, offset }| FileMapping {
            at: place.start,
            len: place.len(),
            file,
            offset: *offset,
        });
        base.chain(own)
    }

    /// The image's bytes at `place`, in parts, with the place of each.
    pub(super) fn parts(&self, place: Range<usize>) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        let mut at = place.start;
        std::iter::from_fn(move || {
            if at >= place.end {
                return None;
            }
            let part = self.part_from(at);
            let part = &part[..part.len().min(place.end - at)];
            let covered = at..at + part.len();
            at = covered.end;
            Some((covered, part))
        })
    }

    /// The image's bytes from `at` on, as far as they lie together.
    fn part_from(&self, at: usize) -> &[u8] {
        let next = self.own.partition_point(|own| own.place.end <= at);
        match (self.own.get(next), &self.base) {
            (Some(Own { place, offset }), _) if place.start <= at => {
                &self.file.bytes()[offset + (at - place.start)..offset + place.len()]
            }
            (following, Some(base)) => base.part(at..following.map_or(self.len, |own| own.place.start)),
            (_, None) => unreachable!("without a base one range is all"),
        }
    }

    /// The whole content of the image.
    #[cfg(test)]
    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.parts(0..self.len).flat_map(|(_, part)| part).copied().collect()
    }
}

/// The index of the first data, by address, that does not end before `address`.
fn first_from(data: &[(usize, &[u8])], address: usize) -> usize {
    data.partition_point(|(at, bytes)| at + bytes.len() <= address)
}

/// The data at `place`, where they lie together.
fn part_of<'a>(data: &[(usize, &'a [u8])], place: &Range<usize>) -> Option<&'a [u8]> {
    let (at, bytes) = data.get(first_from(data, place.start))?;
    bytes.get(place.start.checked_sub(*at)?..place.end - at)
}

/// Writes the data at `place` to `out`, which has what is between them.
fn write_data(data: &[(usize, &[u8])], place: &Range<usize>, out: &mut [u8]) {
    for (at, bytes) in data[first_from(data, place.start)..].iter().take_while(|(at, _)| *at < place.end) {
        let common = place.start.max(*at)..place.end.min(at + bytes.len());
        out[common.start - place.start..common.end - place.start]
            .copy_from_slice(&bytes[common.start - at..common.end - at]);
    }
}

/// Makes of these places, which are in order, at most `most`: those that lie next to each other become one, with what
/// is between.
fn join(places: Vec<Range<usize>>, most: usize) -> Vec<Range<usize>> {
    let mut gaps: Vec<usize> = places.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    // The widest gaps stay.
    let mut stays = most - 1;
    let narrowest = gaps.get(stays.saturating_sub(1)).copied().unwrap_or(0);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some(last) if place.start - last.end < narrowest || stays == 0 => last.end = place.end,
            Some(_) => {
                stays -= 1;
                joined.push(place);
            }
            None => joined.push(place),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_gaps_stay_between_ranges() {
        let places = vec![0..1, 2..3, 10..11, 12..13, 13..14, 30..31, 32..33];
        assert_eq!(join(places.clone(), 3), [0..3, 10..14, 30..33]);
        assert!(join(places.clone(), 1).iter().eq([&(0..33)]));
        assert_eq!(join(places.clone(), 50), places);
        assert_eq!(join(vec![0..1, 2..3, 4..5, 6..7], 2), [0..1, 2..7]);
        assert!(join(Vec::new(), 8).is_empty());
    }
}

//! Slots under a seeded stream of writes, growths, resets and ends, by each way of asking the system.

mod large_pages;

use super::difference::{ChangedPage, Comparison, Difference, PAGE_BYTES as HEAP_PAGE_BYTES, PART_BYTES};
use super::image::{Base, Image};
use super::page_map::PageMap;
use super::slot::{RESET_BYTES_MAX, Reservations, Slot};
use crate::compiled_cache::CompiledCache;
use rustix::mm::{Advice, madvise};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;
use std::task::Poll;

const PAGE_BYTES: usize = 64 << 10;
const CAPACITY: usize = 128 * PAGE_BYTES;
const GUARD: usize = PAGE_BYTES;

/// A stream of numbers that is the same for the same seed: xorshift64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }
}

fn page_maps() -> Vec<(&'static str, PageMap)> {
    let all = [("scan", PageMap::scan()), ("entries", PageMap::entries()), ("unknown", Some(PageMap::Unknown))];
    all.into_iter()
        .filter_map(|(name, map)| Some((name, map?)))
        .filter(|(_, map)| !map.knows() || map.works())
        .collect()
}

fn image(numbers: &mut Numbers, pages: usize) -> Arc<Image> {
    let bytes: Vec<u8> = (0..200).map(|_| 1 + u8::try_from(numbers.below(255)).expect("a byte")).collect();
    let len = pages * PAGE_BYTES;
    let mut data: Vec<(usize, &[u8])> = (0..pages * 8).map(|_| (numbers.below(len - bytes.len()), &*bytes)).collect();
    data.sort_by_key(|(at, _)| *at);
    let mut image = vec![0; len];
    data.iter().for_each(|(at, bytes)| image[*at..at + bytes.len()].copy_from_slice(bytes));
    let base = Arc::new(Base::new(None, "base", &base_of(numbers, &image)).expect("the system has room"));
    let image = match numbers.below(3) {
        0 => Image::whole(None, "test", len, &[(0, &image)], &[]),
        1 => Image::whole(None, "test", len, &[(0, &image)], &[base]),
        _ => {
            let base = elias_contract::base::Base { digest: String::new(), memory: base_of(numbers, &image) };
            let of = Arc::new(Base::new(None, "base", &base.memory).expect("the system has room"));
            Image::difference(None, "test", len, &base.difference(&image), &of)
        }
    };
    Arc::new(image.expect("the system has room"))
}

/// A base for an image: shorter, and in some places another.
fn base_of(numbers: &mut Numbers, image: &[u8]) -> Vec<u8> {
    let mut base = image[..image.len() - PAGE_BYTES].to_vec();
    for _ in 0..numbers.below(30) {
        let at = numbers.below(base.len());
        base[at] ^= 0x55;
    }
    base
}

#[test]
fn an_image_is_the_same_whatever_of_it_is_shared() {
    let mut numbers = Numbers(11);
    for round in 0..40 {
        let memory: Vec<u8> = {
            let mut memory = vec![0; 4 * PAGE_BYTES];
            (0..numbers.below(3_000)).for_each(|_| memory[numbers.below(4 * PAGE_BYTES)] = 7);
            memory
        };
        let base = elias_contract::base::Base { digest: String::new(), memory: base_of(&mut numbers, &memory) };
        let shared = Arc::new(Base::new(None, "base", &base.memory).expect("the system has room"));
        let other = Arc::new(Base::new(None, "other", &vec![9; PAGE_BYTES]).expect("the system has room"));
        let difference = base.difference(&memory);
        // As a self-contained component has it: without its zeros.
        let mut occupied: Vec<(usize, &[u8])> = Vec::new();
        let mut at = 0;
        for bytes in memory.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
            if bytes[0] != 0 {
                occupied.push((at, bytes));
            }
            at += bytes.len();
        }
        let images = [
            Image::whole(None, "test", memory.len(), &occupied, &[]),
            Image::whole(None, "test", memory.len(), &occupied, &[Arc::clone(&other), Arc::clone(&shared)]),
            Image::whole(None, "test", memory.len(), &[(0, &memory)], &[]),
            Image::whole(None, "test", memory.len(), &[(0, &memory)], &[Arc::clone(&other), Arc::clone(&shared)]),
            Image::whole(None, "test", memory.len(), &[(0, &memory)], &[other]),
            Image::difference(None, "test", memory.len(), &difference, &shared),
        ];
        let mut digests = Vec::new();
        for (index, image) in images.into_iter().enumerate() {
            let image = image.expect("the system has room");
            assert!(image.to_vec() == memory, "round {round}, image {index}");
            digests.push(image.digest());
            assert!(image.mapped().count() <= 9);
            let (start, end) = (numbers.below(memory.len()), numbers.below(memory.len()));
            let place = start.min(end)..start.max(end);
            let parts: Vec<u8> = image.parts(place.clone()).flat_map(|(_, part)| part).copied().collect();
            assert!(parts == memory[place]);
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "round {round}");
    }
}

/// Gives a memory back in parts, as far as a multiple of pages goes, and looks that nothing is left in it.
fn discard_in_parts(slot: &mut Slot, part: usize) {
    let part = part.next_multiple_of(rustix::param::page_size());
    let mut at = 0;
    while slot.discard(at, part).expect("the system takes it") {
        at += part;
    }
    assert!(at >= slot.len());
    // SAFETY: no guest runs here.
    assert!(unsafe { slot.begins_as_image() });
    for at in slot.image_len()..slot.len() {
        // SAFETY: below the memory's length, and nobody else's.
        assert_eq!(unsafe { *slot.start().add(at) }, 0);
    }
}

#[test]
fn whatever_a_guest_wrote_the_next_execution_finds_the_image() {
    for (name, map) in page_maps() {
        let page_map = Arc::new(map);
        let home = Arc::new(Reservations::new(2));
        for seed in 1..=20 {
            let mut numbers = Numbers(seed * 0x9e37_79b9);
            let images = [image(&mut numbers, 3), image(&mut numbers, 7)];
            for _ in 0..4 {
                let image = Arc::clone(&images[numbers.below(2)]);
                let mut slot = Slot::new(&home, &page_map, image, CAPACITY, GUARD).expect("the system has room");
                for execution in 0..40 {
                    // SAFETY: no guest runs here.
                    assert!(unsafe { slot.is_image() }, "{name}, seed {seed}, execution {execution}");
                    if execution == 39 {
                        let grown = slot.len() + PAGE_BYTES * numbers.below(8);
                        slot.grow(grown).expect("within the capacity");
                    }
                    // Some write all over, and some where others wrote before, which needs no fault.
                    let range = if numbers.below(3) == 0 { slot.len() } else { 64 };
                    slot.watch(|| {
                        for _ in 0..numbers.below(60) {
                            let at = numbers.below(range);
                            // SAFETY: below the memory's length, and nobody else's.
                            unsafe { *slot.start().add(at) ^= 0xa5 };
                        }
                    });
                    if slot.has_grown() {
                        discard_in_parts(&mut slot, 1 + numbers.below(CAPACITY));
                        break;
                    }
                    // SAFETY: no guest runs here.
                    assert!(unsafe { slot.reset() }.expect("the system answers"));
                }
            }
        }
    }
}

/// What a memory that grew has.
static ZEROS: [u8; HEAP_PAGE_BYTES] = [0; HEAP_PAGE_BYTES];

/// All of a memory in which no guest runs.
fn content(slot: &Slot) -> Vec<u8> {
    // SAFETY: no guest runs here.
    unsafe { slot.bytes_mut() }.to_vec()
}

/// What a memory with this difference to the image has, made from the image alone.
fn expected(image: &Image, difference: &Difference) -> Vec<u8> {
    let mut bytes = image.to_vec();
    bytes.resize(difference.len(), 0);
    for (number, page) in difference.pages() {
        bytes[*number as usize * HEAP_PAGE_BYTES..][..HEAP_PAGE_BYTES].copy_from_slice(page);
    }
    bytes
}

/// Restores a memory in which no guest runs; in how many parts.
fn restore(slot: &Slot, difference: &Difference) -> usize {
    let (mut next, mut parts) = (Some(0), 0);
    while let Some(from) = next {
        // SAFETY: no guest runs here.
        next = unsafe { slot.restore_part(difference, from) };
        parts += 1;
    }
    parts
}

/// The changes of a memory in which no guest runs, and in how many parts they were found.
fn changes(slot: &Slot, from: usize, known: &Difference) -> (Vec<ChangedPage>, usize) {
    let mut comparison = Comparison::default();
    for parts in 1.. {
        // SAFETY: no guest runs here.
        if let Poll::Ready(changes) = unsafe { slot.compare_part(from, known, &mut comparison) } {
            return (changes, parts);
        }
    }
    unreachable!("a memory has an end")
}

#[test]
fn a_large_heap_is_compared_and_restored_in_parts_and_is_not_undone_in_place() {
    for (name, map) in page_maps() {
        let page_map = Arc::new(map);
        let home = Arc::new(Reservations::new(2));
        let mut numbers = Numbers(5);
        let image = image(&mut numbers, 4);
        let slot = || Slot::new(&home, &page_map, Arc::clone(&image), CAPACITY, GUARD).expect("room");
        let write = |slot: &Slot, at: usize| {
            // SAFETY: below the memory's length, and nobody else's.
            unsafe { *slot.start().add(at) = 200 };
        };
        let none = Difference::new(image.len(), BTreeMap::new());
        let large = slot();
        large.grow(CAPACITY).expect("within the capacity");
        (image.len()..CAPACITY).step_by(HEAP_PAGE_BYTES).for_each(|at| write(&large, at));
        let (found, parts) = changes(&large, 0, &none);
        assert_eq!(found.len(), (CAPACITY - image.len()) / HEAP_PAGE_BYTES, "{name}: each page once");
        assert!(found.is_sorted_by(|a, b| a.0 < b.0), "{name}");
        assert!((CAPACITY / (2 * PART_BYTES)..=CAPACITY / PART_BYTES).contains(&parts), "{name}: {parts} parts");
        let mut known = none.clone();
        known.apply(large.len(), found);

        let restored = slot();
        restored.grow(CAPACITY).expect("within the capacity");
        let pages = known.pages().len();
        assert_eq!(restore(&restored, &known), (pages * HEAP_PAGE_BYTES).div_ceil(PART_BYTES), "{name}");
        assert!(content(&restored) == content(&large), "{name}");
        write(&restored, CAPACITY - 1);
        let written = content(&restored);
        // SAFETY: no guest runs here.
        assert!(!unsafe { restored.undo(0, &known) }, "{name}: that is more than is undone at once");
        assert!(content(&restored) == written, "{name}: nothing was done");
    }
}

#[test]
fn a_difference_is_what_turns_wrote_and_restores_it_in_another_slot() {
    for (name, map) in page_maps() {
        let page_map = Arc::new(map);
        let home = Arc::new(Reservations::new(2));
        for seed in 1..=10 {
            let mut numbers = Numbers(seed * 0x9e37_79b9);
            let image = image(&mut numbers, 4);
            let slot = || Slot::new(&home, &page_map, Arc::clone(&image), CAPACITY, GUARD).expect("room");
            // What lies below it is no part of a heap.
            let stack = numbers.below(3) * PAGE_BYTES / 2;
            let mut living = slot();
            let mut known = Difference::new(image.len(), BTreeMap::new());
            for turn in 0..30 {
                let grows = numbers.below(8) == 0 && living.len() < CAPACITY / 2;
                if grows {
                    living.grow(living.len() + PAGE_BYTES).expect("within the capacity");
                }
                let count = numbers.below(40);
                // Some of it is what was there before.
                let mut value = || (numbers.below(living.len()), u8::try_from(numbers.below(3)).expect("a byte"));
                let values: Vec<(usize, u8)> = (0..count).map(|_| value()).collect();
                let write = || {
                    for &(at, value) in &values {
                        // SAFETY: below the memory's length, and nobody else's.
                        unsafe { *living.start().add(at) = value };
                    }
                };
                // Whoever does not watch is found out by asking.
                if seed % 2 == 0 {
                    living.watch(write);
                } else {
                    write();
                }
                let written = content(&living);
                if numbers.below(3) == 0 {
                    // SAFETY: no guest runs here.
                    let undone = unsafe { living.undo(stack, &known) };
                    assert_eq!(undone, !grows, "{name}, seed {seed}, turn {turn}");
                    if grows {
                        assert!(content(&living) == written, "nothing was done");
                        living = slot();
                        living.grow(known.len()).expect("within the capacity");
                        restore(&living, &known);
                    }
                } else {
                    let (changes, _) = changes(&living, stack, &known);
                    let former = expected(&image, &known);
                    for (number, page) in &changes {
                        let place = *number as usize * HEAP_PAGE_BYTES..(*number as usize + 1) * HEAP_PAGE_BYTES;
                        assert!(place.end > stack);
                        let was = former.get(place.clone()).unwrap_or(&ZEROS);
                        assert!(was != &written[place], "{name}, seed {seed}, turn {turn}: page {number} is as before");
                        assert!(page.is_some() || known.pages().contains_key(number));
                    }
                    known.apply(living.len(), changes);
                    assert!(expected(&image, &known)[stack..] == written[stack..], "{name}, seed {seed}, turn {turn}");
                }
                assert!(expected(&image, &known)[stack..] == content(&living)[stack..], "{name}, seed {seed}");
            }
            let restored = slot();
            restored.grow(known.len()).expect("within the capacity");
            restore(&restored, &known);
            assert!(content(&restored) == expected(&image, &known), "{name}, seed {seed}");
            assert!(changes(&restored, stack, &known).0.is_empty());
            let none = Difference::new(image.len(), BTreeMap::new());
            let (all, _) = changes(&restored, 0, &none);
            assert_eq!(all.len(), known.pages().len(), "no page of it is the image's");
        }
    }
}

#[test]
fn pages_are_known_by_the_faults_that_make_them_the_slots_own() {
    let mut numbers = Numbers(11);
    let home = Arc::new(Reservations::new(1));
    for (name, map) in page_maps().into_iter().filter(|(_, map)| map.knows()) {
        let slot = Slot::new(&home, &Arc::new(map), image(&mut numbers, 4), CAPACITY, GUARD).expect("room");
        // SAFETY: below the memory's length, and nobody else's.
        let write = |page: usize| slot.watch(|| unsafe { *slot.start().add(page * 4096) ^= 1 });
        for (pages, wanted) in [(&[5][..], 1), (&[5], 1), (&[], 1), (&[5, 9], 2), (&[9], 2), (&[0, 5], 3)] {
            pages.iter().copied().for_each(write);
            // SAFETY: no guest runs here.
            assert!(unsafe { slot.reset() }.expect("the system answers"));
            // SAFETY: as above.
            assert!(unsafe { slot.is_image() }, "{name}, {pages:?}");
            let page = rustix::param::page_size();
            assert_eq!(slot.private_bytes() / page, wanted, "{name}, {pages:?}");
        }
        // SAFETY: as above; who does not watch is found out by asking.
        unsafe { *slot.start().add(7 * 4096) ^= 1 };
        // SAFETY: as above.
        assert!(unsafe { slot.reset() }.expect("the system answers"));
        // SAFETY: as above.
        assert!(unsafe { slot.is_image() }, "{name}");
    }
}

/// A swap file, for as long as a test takes; only for root.
struct SwapFile(tempfile::TempDir);

impl SwapFile {
    fn activate() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let swap = Self(folder);
        std::fs::write(swap.path(), vec![0; 16 << 20]).expect("writing");
        std::fs::set_permissions(swap.path(), std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        (swap.run("mkswap") && swap.run("swapon")).then_some(swap)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("swap")
    }

    fn run(&self, program: &str) -> bool {
        Command::new(program).arg(self.path()).output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for SwapFile {
    fn drop(&mut self) {
        self.run("swapoff"); // it may not be in use
    }
}

/// Asks the system to swap out what of the slot's memory is its own; how many pages are.
fn swap_out(slot: &Slot) -> usize {
    const IS_SWAPPED: u64 = 1 << 62;
    // SAFETY: what is swapped out is still there.
    let _ = unsafe { madvise(slot.start().cast(), slot.len(), Advice::LinuxPageOut) }; // as far as it does
    let page = rustix::param::page_size();
    let entries = File::open("/proc/self/pagemap").expect("it is there on Linux");
    let is_swapped = |number: usize| {
        let mut entry = [0; 8];
        let at = (slot.start() as usize / page + number) * entry.len();
        entries.read_exact_at(&mut entry, at as u64).expect("it has every page");
        u64::from_ne_bytes(entry) & IS_SWAPPED != 0
    };
    (0..slot.len() / page).filter(|number| is_swapped(*number)).count()
}

#[test]
fn what_was_swapped_out_is_put_back_as_well() {
    /// The pages that are written to before the rest is swapped out, and after.
    const ROUNDS: [(&[usize], &[usize]); 3] = [(&[1, 5, 9], &[]), (&[], &[]), (&[5, 40], &[9])];
    let _swap = SwapFile::activate();
    let mut numbers = Numbers(13);
    let home = Arc::new(Reservations::new(1));
    for (name, map) in page_maps() {
        let slot = Slot::new(&home, &Arc::new(map), image(&mut numbers, 4), CAPACITY, GUARD).expect("room");
        // SAFETY: below the memory's length, and nobody else's.
        let write = |page: usize| unsafe { *slot.start().add(page * 4096) ^= 1 };
        for (before, after) in ROUNDS {
            slot.watch(|| before.iter().copied().for_each(write));
            let swapped = swap_out(&slot);
            if swapped == 0 {
                eprintln!("{name}: nothing was swapped out: only root can have swap, and not everywhere");
            }
            slot.watch(|| after.iter().copied().for_each(write));
            // SAFETY: no guest runs here.
            assert!(unsafe { slot.reset() }.expect("the system answers"));
            // SAFETY: as above.
            assert!(unsafe { slot.is_image() }, "{name}, {before:?}: {swapped} pages were swapped out");
        }
    }
}

#[test]
fn a_page_that_was_written_to_once_is_given_back() {
    let mut numbers = Numbers(7);
    let home = Arc::new(Reservations::new(1));
    for (name, map) in page_maps().into_iter().filter(|(_, map)| map.knows()) {
        let slot = Slot::new(&home, &Arc::new(map), image(&mut numbers, 4), CAPACITY, GUARD).expect("room");
        // SAFETY: below the memory's length, and nobody else's.
        unsafe { *slot.start().add(5 * 4096) ^= 1 };
        // SAFETY: no guest runs here.
        assert!(unsafe { slot.reset() }.expect("the system answers"));
        let page = rustix::param::page_size();
        assert_eq!(slot.private_bytes(), page, "{name}: it is put back, and stays the slot's own");
        for _ in 0..70 {
            // SAFETY: as above.
            assert!(unsafe { slot.reset() }.expect("the system answers"));
        }
        assert_eq!(slot.private_bytes(), 0, "{name}: it is the file's again");
        // SAFETY: as above.
        assert!(unsafe { slot.is_image() }, "{name}");
    }
}

#[test]
fn a_memory_that_was_written_to_all_over_is_not_put_back() {
    let mut numbers = Numbers(5);
    let home = Arc::new(Reservations::new(1));
    for (name, map) in page_maps() {
        let knows = map.knows();
        let slot = Slot::new(&home, &Arc::new(map), image(&mut numbers, 100), CAPACITY, GUARD).expect("room");
        let page = rustix::param::page_size();
        for at in (0..=RESET_BYTES_MAX).step_by(page) {
            // SAFETY: below the memory's length, and nobody else's.
            unsafe { *slot.start().add(at) ^= 1 };
        }
        // SAFETY: no guest runs here.
        assert_eq!(unsafe { slot.reset() }.expect("the system answers"), !knows, "{name}");
    }
}

#[test]
fn what_is_above_the_memory_cannot_be_grown_into_beyond_its_capacity() {
    let mut numbers = Numbers(3);
    let home = Arc::new(Reservations::new(1));
    let page_map = Arc::new(PageMap::open());
    let slot = Slot::new(&home, &page_map, image(&mut numbers, 2), CAPACITY, GUARD).expect("room");
    assert!(slot.grow(CAPACITY + PAGE_BYTES).is_err());
    assert!(slot.grow(PAGE_BYTES).is_err(), "a memory does not shrink");
    slot.grow(CAPACITY).expect("all of it");
    // SAFETY: below the memory's length, and nobody else's.
    let last = unsafe { &mut *slot.start().add(CAPACITY - 1) };
    assert_eq!(std::mem::replace(last, 9), 0, "what is new is zeros");
    drop(slot);
    let again = Slot::new(&home, &page_map, image(&mut numbers, 2), CAPACITY, GUARD).expect("room");
    again.grow(CAPACITY).expect("all of it");
    // SAFETY: as above.
    assert_eq!(unsafe { *again.start().add(CAPACITY - 1) }, 0, "and holds nothing of who was there before");
}

#[test]
fn an_image_that_was_lost_in_part_is_written_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = CompiledCache::open(folder.path()).expect("the folder is ours");
    let data: [(usize, &[u8]); 2] = [(10, b"first"), (70_000, b"second")];
    let image = || Image::whole(Some(&cache), "digest", 2 * PAGE_BYTES, &data, &[]).expect("the system has room");
    let whole = image().to_vec();
    assert_eq!((&whole[10..15], &whole[70_000..70_006]), (&b"first"[..], &b"second"[..]));
    let file = folder.path().join("digest.image");
    for lost in [vec![0; whole.len()], whole[..70_006].to_vec(), whole[..100].to_vec(), Vec::new()] {
        std::fs::write(&file, lost).expect("writing");
        assert!(image().to_vec() == whole);
        assert_eq!(std::fs::read(&file).expect("reading"), whole, "unless the folder is in memory");
    }
}

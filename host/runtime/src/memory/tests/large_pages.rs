//! Large pages, which the system makes of many small ones by itself.

use super::*;

/// Bytes of one, on most systems.
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Asks for one at once: Linux 6.1.
const MADV_COLLAPSE: libc::c_int = 25;

#[test]
fn no_page_of_a_memory_that_grew_becomes_private_without_a_fault() {
    let mut numbers = Numbers(17);
    let home = Arc::new(Reservations::new(1));
    for (name, map) in page_maps().into_iter().filter(|(_, map)| map.knows()) {
        let image = image(&mut numbers, 4);
        let slot = Slot::new(&home, &Arc::new(map), Arc::clone(&image), CAPACITY, GUARD).expect("room");
        let mut known = Difference::new(slot.len(), BTreeMap::new());
        slot.grow(CAPACITY).expect("within the capacity");
        let start = slot.start() as usize;
        // The first one may begin in the image.
        let large = start.next_multiple_of(LARGE_PAGE_BYTES) - start + LARGE_PAGE_BYTES;
        for at in [large, large + 100 * HEAP_PAGE_BYTES] {
            // SAFETY: below the memory's length, and nobody else's.
            slot.watch(|| unsafe { *slot.start().add(at) = 7 });
            let (found, _) = changes(&slot, 0, &known);
            let pages: Vec<usize> = found.iter().map(|(number, _)| *number as usize).collect();
            assert_eq!(pages, [at / HEAP_PAGE_BYTES], "{name}");
            known.apply(slot.len(), found);
            // As the system's `khugepaged` does at any time. It may refuse.
            // SAFETY: within the slot, whose content stays.
            let _ = unsafe { libc::madvise(slot.start().add(large).cast(), LARGE_PAGE_BYTES, MADV_COLLAPSE) };
        }
        assert!(expected(&image, &known) == content(&slot), "{name}");
    }
}

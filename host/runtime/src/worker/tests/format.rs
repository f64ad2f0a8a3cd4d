//! Heaps as bytes: what is read is what was written, and nothing else is read.

use super::{HeapChange, WorkerHeap};
use crate::ErrorCode;
use crate::memory::{Difference, Page};
use crate::recycling::KeptPage;
use crate::worker::HeapOrigin;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

const MEMORY_BYTES: usize = 4 << 16;
/// Where fields are: see docs/reference/worker-heaps.md.
const VERSION_AT: usize = 8;
const KIND_AT: usize = 10;
const DIGESTS_AT: usize = 12;
const LENGTH_AT: usize = DIGESTS_AT + 3 * 64;
const COUNT_AT: usize = LENGTH_AT + 8;
const NUMBERS_AT: usize = COUNT_AT + 4;

fn origin() -> Arc<HeapOrigin> {
    let digest = |of: &str| elias_contract::digest(of.as_bytes());
    Arc::new(HeapOrigin { component: digest("component"), engine: digest("engine"), image: digest("image") })
}

fn page(byte: u8) -> Page {
    let mut page = vec![0; WorkerHeap::PAGE_BYTES];
    page[usize::from(byte)] = byte;
    page.into()
}

fn heap() -> WorkerHeap {
    let pages = BTreeMap::from([(3, page(1)), (17, page(2)), (63, page(3))]);
    WorkerHeap { origin: origin(), difference: Arc::new(Difference::new(MEMORY_BYTES, pages)) }
}

fn kept(number: u32, before: Option<Page>, content: Option<Page>) -> KeptPage {
    KeptPage { number, before, content }
}

/// The change of these pages, and how it is read.
fn change(pages: Vec<KeptPage>) -> (HeapChange, HeapChange) {
    let mut change = HeapChange::none(&origin(), MEMORY_BYTES);
    change.extend(MEMORY_BYTES, pages);
    let bytes = change.to_bytes().expect("bytes");
    let read = HeapChange::from_bytes(&bytes, MEMORY_BYTES as u64).expect("they are a change");
    (change, read)
}

/// The code for bytes of a heap.
fn refusal(bytes: &[u8]) -> ErrorCode {
    let error = WorkerHeap::from_bytes(bytes, MEMORY_BYTES as u64).expect_err("they are none");
    assert!(!error.to_string().is_empty());
    error.code()
}

/// The heap's bytes with other ones in a place, and a checksum that is right.
fn altered(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut altered = heap().to_bytes().expect("bytes");
    altered.truncate(altered.len() - 32);
    altered[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(altered)
}

fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let checksum = Sha256::digest(&body);
    body.extend_from_slice(&checksum);
    body
}

#[test]
fn what_was_written_is_read() {
    let bytes = heap().to_bytes().expect("bytes");
    assert!(bytes.len() < 1_000, "pages are compressed: {}", bytes.len());
    let read = WorkerHeap::from_bytes(&bytes, MEMORY_BYTES as u64).expect("they are a heap");
    assert_eq!(read, heap());
    assert_eq!((read.memory_bytes(), read.pages().len()), (MEMORY_BYTES as u64, 3));
    assert_eq!(read.engine(), elias_contract::digest(b"engine"));
    assert_eq!(read.image(), elias_contract::digest(b"image"));
    assert_eq!(read.component(), elias_contract::digest(b"component"));

    let empty = WorkerHeap { origin: origin(), difference: Arc::new(Difference::new(1 << 16, BTreeMap::new())) };
    let bytes = empty.to_bytes().expect("bytes");
    assert_eq!(WorkerHeap::from_bytes(&bytes, 1 << 16).expect("they are a heap"), empty);

    let (change, read) = change(vec![kept(4, None, None), kept(5, None, Some(page(7))), kept(63, Some(page(3)), None)]);
    assert_eq!(read, change);
    let bytes = change.to_bytes().expect("bytes");
    assert_eq!(refusal(&bytes), ErrorCode::HeapDamaged, "a change is no heap");
}

#[test]
fn a_change_is_written_as_the_difference_to_what_the_pages_were_before() {
    // Numbers that do not repeat, so that they cannot be compressed.
    let before: Vec<u8> =
        (0..WorkerHeap::PAGE_BYTES as u64 / 32).flat_map(|at| Sha256::digest(at.to_le_bytes())).collect();
    let mut after = before.clone();
    after[100] ^= 1;
    let (small, _) = change(vec![kept(3, Some(before.into()), Some(after.into()))]);
    assert!(small.to_bytes().expect("bytes").len() < 500, "one byte of a page has changed");

    let (_, first) = change(vec![
        kept(3, Some(page(1)), Some(page(9))),
        kept(3, Some(page(9)), Some(page(8))),
        kept(17, Some(page(2)), None),
        kept(20, None, Some(page(4))),
    ]);
    let (_, second) = change(vec![
        kept(3, Some(page(8)), Some(page(7))),
        kept(17, None, Some(page(5))),
        kept(20, Some(page(4)), Some(page(6))),
    ]);
    let pages = BTreeMap::from([(3, page(7)), (17, page(5)), (20, page(6)), (63, page(3))]);
    let wanted = WorkerHeap { origin: origin(), difference: Arc::new(Difference::new(MEMORY_BYTES, pages)) };
    let mut one_by_one = heap();
    one_by_one.apply(&first).expect("it is of this heap");
    one_by_one.apply(&second).expect("it is of this heap");
    let mut at_once = heap();
    let mut both = first.clone();
    both.merge(second).expect("it came after the first");
    let bytes = both.to_bytes().expect("bytes");
    let both = HeapChange::from_bytes(&bytes, MEMORY_BYTES as u64).expect("they are a change");
    at_once.apply(&both).expect("it is of this heap");
    assert_eq!((&one_by_one, &at_once), (&wanted, &wanted));

    let none = || Arc::new(Difference::new(MEMORY_BYTES, BTreeMap::new()));
    let mut other = WorkerHeap { origin: origin(), difference: none() };
    assert_eq!(other.apply(&first).expect_err("a page is missing").code(), ErrorCode::HeapDamaged);
    assert_eq!(other.difference, none(), "it is as before");
    let (_, mut initial) = change(vec![kept(3, Some(page(1)), None)]);
    let (_, later) = change(vec![kept(3, Some(page(1)), Some(page(2)))]);
    assert_eq!(initial.merge(later).expect_err("nothing is there").code(), ErrorCode::HeapDamaged);
}

#[test]
fn no_bit_can_be_flipped_and_no_byte_be_cut_off_or_added() {
    let bytes = heap().to_bytes().expect("bytes");
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(refusal(&flipped), ErrorCode::HeapDamaged, "bit {bit} of byte {at}");
        }
        assert_eq!(refusal(&bytes[..at]), ErrorCode::HeapDamaged, "{at} bytes");
    }
    assert_eq!(refusal(&[&bytes[..], &[0][..]].concat()), ErrorCode::HeapDamaged);
}

#[test]
fn fields_are_checked_also_where_the_checksum_is_right() {
    let number = |at: usize, number: u32| altered(NUMBERS_AT + 4 * at, &number.to_le_bytes());
    for (what, bytes) in [
        ("another kind", altered(KIND_AT, &[1, 0])),
        ("no kind", altered(KIND_AT, &[7, 0])),
        ("a digest in capitals", altered(DIGESTS_AT, b"A")),
        ("a digest that is no text", altered(DIGESTS_AT + 70, &[0xff])),
        ("a memory that ends within a unit", altered(LENGTH_AT, &(MEMORY_BYTES as u64 - 1).to_le_bytes())),
        ("no memory", altered(LENGTH_AT, &0_u64.to_le_bytes())),
        ("a memory without the last page", altered(LENGTH_AT, &(3_u64 << 16).to_le_bytes())),
        ("more pages than the memory", altered(COUNT_AT, &65_u32.to_le_bytes())),
        ("more pages than there are bytes", altered(COUNT_AT, &64_u32.to_le_bytes())),
        ("fewer pages", altered(COUNT_AT, &2_u32.to_le_bytes())),
        ("a page twice", number(1, 3)),
        ("pages out of order", number(0, 18)),
        ("a page beyond the memory", number(2, 64)),
        ("the largest number", number(2, u32::MAX)),
        ("a page of the image", number(1, 17 | 1 << 31)),
        ("a difference", number(1, 17 | 1 << 30)),
        ("longer content", altered(NUMBERS_AT + 12, &u64::MAX.to_le_bytes())),
        ("shorter content", altered(NUMBERS_AT + 12, &1_u64.to_le_bytes())),
        ("no content that can be decompressed", altered(NUMBERS_AT + 20, &[0; 4])),
        ("nothing", Vec::new()),
        ("nothing but a checksum", sealed(Vec::new())),
        ("nothing but a beginning", sealed(b"\x89ELHEAP\n".to_vec())),
    ] {
        assert_eq!(refusal(&bytes), ErrorCode::HeapDamaged, "{what}");
    }
    assert_eq!(refusal(&altered(VERSION_AT, &[3, 0])), ErrorCode::HeapMismatch, "a later version");
    let long = altered(LENGTH_AT, &(5_u64 << 16).to_le_bytes());
    assert_eq!(refusal(&long), ErrorCode::OutOfMemory, "a longer memory than the reader allows");
    // It is whole, and another reader allows it.
    WorkerHeap::from_bytes(&long, 5 << 16).expect("it is a heap");
    let endless = altered(LENGTH_AT, &(8_u64 << 30).to_le_bytes());
    let error = WorkerHeap::from_bytes(&endless, u64::MAX).expect_err("no memory is so long");
    assert_eq!(error.code(), ErrorCode::HeapDamaged);
}

#[test]
fn what_a_heap_belongs_to_is_read_without_its_pages() {
    let bytes = altered(NUMBERS_AT + 20, &[0; 4]);
    assert_eq!(refusal(&bytes), ErrorCode::HeapDamaged, "its pages cannot be decompressed");
    assert_eq!(WorkerHeap::component_of(&bytes).expect("its header is whole"), origin().component);
    WorkerHeap::check_origin(&origin(), &bytes).expect("it belongs to this");
    let other = HeapOrigin { image: elias_contract::digest(b"other"), ..(*origin()).clone() };
    let refused = WorkerHeap::check_origin(&other, &bytes).expect_err("it belongs to something else");
    assert_eq!(refused.code(), ErrorCode::HeapMismatch);
    let refused = WorkerHeap::from_bytes_of(&other, &bytes, MEMORY_BYTES as u64).expect_err("likewise");
    assert_eq!(refused.code(), ErrorCode::HeapMismatch, "before its pages are looked at");
    let whole = heap().to_bytes().expect("bytes");
    assert_eq!(WorkerHeap::from_bytes_of(&origin(), &whole, MEMORY_BYTES as u64).expect("it is a heap"), heap());
    for broken in [&whole[..whole.len() - 1], &altered(KIND_AT, &[1, 0]), &altered(DIGESTS_AT, b"A")] {
        let refused = WorkerHeap::component_of(broken).expect_err("it is none");
        assert_eq!(refused.code(), ErrorCode::HeapDamaged);
    }
}

#[test]
fn content_of_other_pages_than_are_named_is_refused() {
    let bytes = heap().to_bytes().expect("bytes");
    let prefix = &bytes[..NUMBERS_AT + 12];
    for pages in [0, 1, 2, 4, 5_000] {
        let content = zstd::bulk::compress(&vec![0; pages * WorkerHeap::PAGE_BYTES], 1).expect("it is compressed");
        let body = [prefix, &(content.len() as u64).to_le_bytes()[..], &content[..]].concat();
        assert_eq!(refusal(&sealed(body)), ErrorCode::HeapDamaged, "{pages} pages");
    }
}

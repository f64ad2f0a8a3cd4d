//! The outer structure of a component: no input makes the reader panic.
#![no_main]

use elias_contract::layout;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // With the magic number in front more inputs get past the first check.
    let component = [b"\0asm\x0d\0\x01\0", bytes].concat();
    for input in [bytes, &component] {
        let _ = layout::read(input);
        let _ = layout::thin(input);
    }
});

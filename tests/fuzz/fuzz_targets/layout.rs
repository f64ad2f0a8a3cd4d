//! The outer structure of a component, and its image: no input makes the readers panic, and what is left of a component
//! without its image has none.
#![no_main]

use elias_contract::{image, layout};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // With the magic number in front more inputs get past the first check.
    let component = [b"\0asm\x0d\0\x01\0", bytes].concat();
    for input in [bytes, &component] {
        let _ = layout::read(input);
        let _ = layout::thin(input);
        let _ = image::check_engine(input);
        if let Ok(separated) = image::separate(input) {
            let rest = image::separate(&separated.component).expect("it still has its memory");
            assert!(rest.data.is_empty() && rest.memory_bytes == separated.memory_bytes);
        }
    }
});

//! The manifest: no input makes the reader panic, and what it reads it can write again.
#![no_main]

use elias_contract::manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(Manifest::parse(&manifest.to_json()).expect("we wrote it"), manifest);
    }
});

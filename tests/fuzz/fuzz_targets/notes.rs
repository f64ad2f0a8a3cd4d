//! Signed notes: no input makes the reader panic; what opens says what was signed, and a changed note does not open.
#![no_main]

use elias_contract::note::{SigningKey, VerifyingKey, open, sign};
use std::sync::LazyLock;

static KEY: LazyLock<(SigningKey, VerifyingKey)> = LazyLock::new(|| {
    let key = SigningKey::from_seed("fuzz.test", &[7; 32]).expect("a name");
    let verifying = key.verifying_key();
    (key, verifying)
});

libfuzzer_sys::fuzz_target!(|input: &str| {
    let (key, verifying) = &*KEY;
    let known = std::slice::from_ref(verifying);
    // Nobody has the key, so nothing that was not signed here opens.
    assert!(open(input, known).is_err());
    let _ = VerifyingKey::parse(input);
    let _ = SigningKey::parse(input);
    if let Ok(note) = sign(input, std::slice::from_ref(key)) {
        assert_eq!(open(&note, known).expect("we signed it").text, input);
        let changed = note.replacen(input, &format!("x{input}"), 1);
        assert!(open(&changed, known).is_err());
    }
});

//! JSON.parse and JSON.stringify of the engine against QuickJS's own: the same values, texts and messages.
#![no_main]

unsafe extern "C" {
    fn elias_compare_json(bytes: *const u8, length: usize);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // SAFETY: it reads so many bytes, and is called from one thread.
    unsafe { elias_compare_json(bytes.as_ptr(), bytes.len()) };
});

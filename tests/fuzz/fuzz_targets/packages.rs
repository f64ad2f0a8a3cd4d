//! Bills of materials and advisories: no document makes the readers panic, and both answer for what they took.
#![no_main]

use elias_advisories::{AdvisorySet, Package};

/// A component that has nothing but a custom section.
fn component(section: &str, bytes: &[u8]) -> Vec<u8> {
    let leb = |mut value: usize| {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    };
    let body = [leb(section.len()), section.as_bytes().to_vec(), bytes.to_vec()].concat();
    [b"\0asm\x0d\0\x01\0\0".to_vec(), leb(body.len()), body].concat()
}

libfuzzer_sys::fuzz_target!(|input: (&[u8], &[u8])| {
    let (bill, advisory) = input;
    let mut advisories = AdvisorySet::default();
    let taken = advisories.add(advisory).is_ok();
    assert!(taken || advisories.is_empty());
    if let Ok(Some(packages)) = Package::all_of(&component(elias_contract::manifest::SBOM_SECTION, bill)) {
        for package in &packages {
            for vulnerability in advisories.of(package) {
                assert!(!vulnerability.told(package).is_empty());
            }
        }
    }
});

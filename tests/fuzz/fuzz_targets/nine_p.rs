//! Requests of 9P (host/nine-p), in both dialects: whatever the bytes are, nothing panics, and nothing is larger than
//! the message it came in.
#![no_main]

#[allow(dead_code)]
#[path = "../../../host/nine-p/src/request.rs"]
mod request;
#[allow(dead_code)]
#[path = "../../../host/nine-p/src/wire.rs"]
mod wire;

use request::{Dialect, Request, WALK_NAMES_MAX};

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (kind, body) = input;
    for dialect in [Dialect::Plain, Dialect::Linux] {
        let Ok(request) = Request::decode(dialect, kind, body) else { continue };
        match request {
            Request::Write { data, .. } => assert_eq!(data, body[16..], "all that was sent, and no more"),
            Request::Walk { names, .. } => {
                assert!(names.len() <= WALK_NAMES_MAX);
                assert_eq!(names.iter().map(|name| name.len() + 2).sum::<usize>() + 10, body.len());
            }
            Request::Version { version, .. } => assert_eq!(version.len() + 6, body.len()),
            _ => {}
        }
    }
});

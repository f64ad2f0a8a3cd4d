//! Watches the parameters of a session that a server reports unasked: the driver reads these messages and shows them to
//! nobody.
//!
//! The rules about statements count on how the server reads strings and on whose session it is. Both come with the
//! answer to the statement that changed them, before the answer's end: no statement that follows can miss it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The message with a parameter's new value.
const PARAMETER_STATUS: u8 = b'S';

/// Bytes of such a message that are looked at; longer ones are of other parameters.
const BODY_BYTES: usize = 512;

/// Whether a session's parameters are what they were set to.
#[derive(Debug)]
pub(super) struct SessionParameters {
    role: String,
    strings: AtomicBool,
    own: AtomicBool,
    plain: AtomicBool,
    encoding: AtomicBool,
}

impl SessionParameters {
    /// The parameters of a new session of this role.
    pub(super) fn new(role: &str) -> Self {
        // Older servers report neither the role nor whether it is a superuser's; all report how strings are read.
        let (yes, no) = (|| AtomicBool::new(true), || AtomicBool::new(false));
        Self { role: role.to_owned(), strings: no(), own: yes(), plain: yes(), encoding: yes() }
    }

    /// Whether strings are read by the standard, and the session is the role's own and not a superuser's.
    pub(super) fn is_unchanged(&self) -> bool {
        [&self.strings, &self.own, &self.plain, &self.encoding].iter().all(|holds| holds.load(Ordering::Acquire))
    }

    fn report(&self, name: &[u8], value: &[u8]) {
        let (holds, is) = match name {
            b"standard_conforming_strings" => (&self.strings, value == b"on"),
            b"session_authorization" => (&self.own, value == self.role.as_bytes()),
            b"is_superuser" => (&self.plain, value == b"off"),
            b"client_encoding" => (&self.encoding, value == b"UTF8"),
            _ => return,
        };
        holds.store(is, Ordering::Release);
    }
}

/// Follows a server's messages.
pub(super) struct Watcher {
    reported: Arc<SessionParameters>,
    body: Option<Vec<u8>>,
}

impl Watcher {
    pub(super) fn new(reported: Arc<SessionParameters>) -> Self {
        Self { reported, body: None }
    }

    /// A message of this kind begins.
    pub(super) fn message(&mut self, kind: u8) {
        self.body = (kind == PARAMETER_STATUS).then(Vec::new);
    }

    /// A part of its body, and whether it is the last one.
    pub(super) fn body(&mut self, part: &[u8], last: bool) {
        let Some(body) = &mut self.body else { return };
        let room = BODY_BYTES.saturating_sub(body.len());
        body.extend_from_slice(&part[..part.len().min(room)]);
        if last {
            let mut texts = body.split(|byte| *byte == 0);
            if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                self.reported.report(name, value);
            }
            self.body = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_noticed_however_they_are_cut() {
        let reported = Arc::new(SessionParameters::new("one"));
        let mut watcher = Watcher::new(Arc::clone(&reported));
        let mut say = |name: &str, value: &str| {
            watcher.message(PARAMETER_STATUS);
            let body = format!("{name}\0{value}\0");
            for (at, byte) in body.bytes().enumerate() {
                watcher.body(&[byte], at + 1 == body.len());
            }
        };
        assert!(!reported.is_unchanged());
        say("standard_conforming_strings", "on");
        assert!(reported.is_unchanged());
        for (name, other, own) in [
            ("standard_conforming_strings", "off", "on"),
            ("session_authorization", "two", "one"),
            ("is_superuser", "on", "off"),
            ("client_encoding", "SJIS", "UTF8"),
        ] {
            say(name, other);
            assert!(!reported.is_unchanged(), "{name}");
            say(name, own);
            assert!(reported.is_unchanged(), "{name}");
        }
        say("application_name", &"x".repeat(5000));
        assert!(reported.is_unchanged());
    }
}

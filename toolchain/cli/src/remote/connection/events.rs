//! Server-sent events (HTML Living Standard, section 9.2), as the admin API sends them.
//!
//! They are read here and not by a crate, since a line has to have a bound, and bytes that are not UTF-8 must not end
//! the stream.

use super::client::Client;
use elias_command_line::text::plain;
use elias_command_line::{CliErrorCode, Failure};
use reqwest::Url;
use reqwest::header::ACCEPT;
use serde_json::Value;
use std::time::Duration;

/// How long nothing at all may come: the platform sends a comment every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a line, or of an event's data.
const BYTES_MAX: usize = 4 << 20;

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The kind; empty if it is not stated.
    pub(crate) name: String,
    /// Its lines, joined.
    pub(crate) data: String,
}

/// Takes events from bytes that come in pieces.
#[derive(Debug, Default)]
struct EventReader {
    line: Vec<u8>,
    event: Event,
}

impl EventReader {
    /// The events that are whole with this piece.
    fn read(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() + self.event.data.len() > BYTES_MAX {
                return Err(Failure::new(CliErrorCode::BadAnswer, "a line of the log is too large"));
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(self.take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(events)
    }

    /// Takes a line; the event that ends with it, if one does.
    fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Some(event).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, which has no name, or a field that says nothing here.
            _ => {}
        }
        None
    }
}

/// Gives each event to `each`, until that wants no more.
///
/// # Errors
/// The codes of the platform, `unreachable`, and `disconnected` when the platform ends it.
pub(crate) fn follow(
    client: &Client,
    url: Url,
    mut each: impl FnMut(&Event) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let ended = |why: &str| Failure::new(CliErrorCode::Disconnected, why).help("run the command again");
    client.runtime.block_on(async {
        let request = client.http.get(url).header(ACCEPT, "text/event-stream").send();
        let response =
            tokio::time::timeout(SILENCE, request).await.map_err(|_| ended("the platform does not respond"))?;
        let mut response = response.map_err(|error| client.unreachable(error))?;
        if !response.status().is_success() {
            return Err(client.refusal(response).await);
        }
        let mut reader = EventReader::default();
        loop {
            let chunk = tokio::time::timeout(SILENCE, response.chunk()).await;
            let chunk = chunk.map_err(|_| ended("the platform has fallen silent"))?;
            let Some(chunk) = chunk.map_err(|error| client.unreachable(error))? else {
                return Err(ended("the platform has ended the connection"));
            };
            for event in reader.read(&chunk)? {
                if event.name == "end" {
                    return Err(end_of(&event));
                }
                if each(&event).is_err() {
                    // Whoever closed standard output does not want to know.
                    return Ok(());
                }
            }
        }
    })
}

/// Why the platform ends a stream: who reads it may not any more.
fn end_of(event: &Event) -> Failure {
    let reason = serde_json::from_str::<Value>(&event.data).unwrap_or_default();
    let text = |name: &str, none: &str| reason[name].as_str().map_or_else(|| none.to_owned(), plain);
    Failure::new(text("code", CliErrorCode::Disconnected.as_str()), text("detail", "the platform has ended it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whatever_the_pieces_are() {
        let stream = b": hello\n\nevent: line\ndata: {\"a\":1}\n\nevent:lost\r\ndata:3\r\n\r\ndata: x\ndata:  y\nid: \
            5\n\nevent: none\n\ndata: cut";
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let wanted = [event("line", "{\"a\":1}"), event("lost", "3"), event("", "x\n y")];
        for size in [1, 2, 7, stream.len()] {
            let mut reader = EventReader::default();
            let read = |piece| reader.read(piece).expect("it is good");
            assert_eq!(stream.chunks(size).flat_map(read).collect::<Vec<_>>(), wanted, "pieces of {size}");
        }
    }

    #[test]
    fn the_platform_says_why_it_ends_a_stream() {
        let data = r#"{"code":"unauthenticated","detail":"the token was revoked"}"#;
        let failure = end_of(&Event { name: "end".into(), data: data.into() });
        assert_eq!(failure.to_string(), "error[unauthenticated]: the token was revoked\n");
        assert!(end_of(&Event::default()).to_string().starts_with("error[disconnected]: "));
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut reader = EventReader::default();
        let piece = vec![b'x'; BYTES_MAX / 2 + 1];
        assert!(reader.read(&piece).is_ok());
        assert!(reader.read(&piece).is_err());
    }
}

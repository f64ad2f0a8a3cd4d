//! The delivery of an event to a URL: its request, and what becomes of it by its response.

use crate::event::CONTENT_TYPE;
use crate::event::webhook::{ID_HEADER, InvalidSecret, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSecret};
use crate::queue::AttemptResult;
use elias_delivery::clock::Now;
use jiff::fmt::rfc2822::DateTimeParser;
use std::fmt::Write;
use std::time::Duration;

/// How long a receiver has to respond, from the dial to the end of the response.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a response's body that are read.
pub const RESPONSE_BYTES_MAX: usize = 4 << 10;
/// Characters of a response's body that a dead letter has.
const REASON_CHARS_MAX: usize = 300;
/// The longest delay that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// The status of a receiver that wants no more.
const GONE: u16 = 410;

/// The request of an attempt, a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// The event as structured JSON.
    pub body: String,
    id: String,
    timestamp: u64,
    signatures: String,
    traceparent: Option<String>,
}

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookResponse {
    /// Its status.
    pub status: u16,
    /// Its header `retry-after`.
    pub retry_after: Option<String>,
    /// The beginning of its body, [`RESPONSE_BYTES_MAX`] at most.
    pub body: Vec<u8>,
}

impl WebhookRequest {
    /// The request for the event with this id. `secrets` is the value of the secret; of several in it, separated by
    /// spaces, each signs, so that a receiver can change from one to the next.
    ///
    /// # Errors
    /// If a secret is not one, or there is none.
    pub fn new(id: &str, event: String, secrets: &str, now: Now) -> Result<Self, InvalidSecret> {
        let (id, timestamp) = (webhook_id(id), now.unix_ms() / 1_000);
        let signatures = secrets
            .split_ascii_whitespace()
            .map(|secret| Ok(secret.parse::<WebhookSecret>()?.sign(&id, timestamp, event.as_bytes())))
            .collect::<Result<Vec<_>, InvalidSecret>>()?
            .join(" ");
        if signatures.is_empty() {
            return Err(InvalidSecret);
        }
        Ok(Self { body: event, id, timestamp, signatures, traceparent: None })
    }

    /// The same request as a part of a trace: with the header `traceparent` of W3C Trace Context.
    #[must_use]
    pub fn with_traceparent(self, traceparent: String) -> Self {
        Self { traceparent: Some(traceparent), ..self }
    }

    /// The header fields of the request.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            (ID_HEADER, self.id.clone()),
            (TIMESTAMP_HEADER, self.timestamp.to_string()),
            (SIGNATURE_HEADER, self.signatures.clone()),
        ];
        headers.extend(self.traceparent.clone().map(|traceparent| ("traceparent", traceparent)));
        headers
    }
}

/// The id of an event as a header has it: a dot would separate what is signed, and other characters cannot be sent.
/// They are percent-encoded.
fn webhook_id(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

impl WebhookResponse {
    /// The outcome of the delivery: done with a status of 2xx, rejected for good with 410, failed with any other.
    #[must_use]
    pub fn ending(&self, now: Now) -> AttemptResult {
        if (200..300).contains(&self.status) {
            return AttemptResult::Returned("null".to_owned());
        }
        let reason = self.reason();
        if self.status == GONE {
            return AttemptResult::Rejected(reason);
        }
        match self.retry_after.as_deref().and_then(|text| retry_after(text, now)) {
            Some(after) => AttemptResult::RetryRequested { after: Some(after), reason },
            None => AttemptResult::Failed(reason),
        }
    }

    fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let shown = text.chars().map(|character| if character.is_control() { ' ' } else { character });
        let shown: String = shown.take(REASON_CHARS_MAX).collect();
        match shown.trim() {
            "" => format!("the receiver responded with status {}", self.status),
            shown => format!("the receiver responded with status {}: {shown}", self.status),
        }
    }
}

/// The delay that `Retry-After` asks for (RFC 9110, 10.2.3: seconds or a date), a day at most; none if it is neither.
fn retry_after(text: &str, now: Now) -> Option<Duration> {
    let text = text.trim();
    let delay = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = DateTimeParser::new().parse_timestamp(text).ok()?.as_millisecond();
            Duration::from_millis(u64::try_from(at).ok()?.saturating_sub(now.unix_ms()))
        }
    };
    Some(delay.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::webhook::verify;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEXT: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn now() -> Now {
        Now::from_unix_ms(784_111_777_000) // Sun, 06 Nov 1994 08:49:37 GMT
    }

    #[test]
    fn a_request_is_signed_by_each_secret() {
        let request = WebhookRequest::new("01A", "{}".to_owned(), &format!("{SECRET} {NEXT}"), now()).expect("signed");
        let headers: [_; 4] = request.headers().try_into().expect("four headers");
        let [(_, content_type), (_, id), (_, timestamp), (_, signatures)] = headers;
        assert_eq!((content_type.as_str(), id.as_str()), ("application/cloudevents+json", "01A"));
        assert_eq!(signatures.split(' ').count(), 2);
        for secret in [SECRET, NEXT] {
            let secrets = [secret.parse().expect("a secret")];
            assert_eq!(verify(&secrets, &id, &timestamp, &signatures, b"{}", now()), Ok(()), "{secret}");
        }
        for wrong in ["", " ", "secret", &format!("{SECRET} secret")] {
            assert_eq!(WebhookRequest::new("1", String::new(), wrong, now()), Err(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn a_request_can_be_part_of_a_trace() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        let request = WebhookRequest::new("01A", "{}".to_owned(), SECRET, now()).expect("signed");
        let headers = request.with_traceparent(traceparent.clone()).headers();
        assert_eq!(headers.last(), Some(&("traceparent", traceparent)));
    }

    #[test]
    fn ids_fit_into_a_header() {
        let id = |id| WebhookRequest::new(id, String::new(), SECRET, now()).expect("signed").headers()[1].1.clone();
        assert_eq!(
            (id("a-B_9").as_str(), id("a.b c%").as_str(), id("é").as_str()),
            ("a-B_9", "a%2Eb%20c%25", "%C3%A9")
        );
    }

    #[test]
    fn the_status_decides() {
        let ending = |status, retry_after: Option<&str>, body: &str| {
            let retry_after = retry_after.map(str::to_owned);
            WebhookResponse { status, retry_after, body: body.as_bytes().to_vec() }.ending(now())
        };
        assert_eq!(ending(204, None, "fine"), AttemptResult::Returned("null".to_owned()));
        let gone = "the receiver responded with status 410: no more".to_owned();
        assert_eq!(ending(410, Some("5"), " no\nmore "), AttemptResult::Rejected(gone));
        for status in [301, 404, 500] {
            let reason = format!("the receiver responded with status {status}");
            assert_eq!(ending(status, None, ""), AttemptResult::Failed(reason), "a redirect is not followed");
        }
        let long = ending(500, None, &"x".repeat(5_000));
        assert!(matches!(&long, AttemptResult::Failed(reason) if reason.len() < 400), "{long:?}");
    }

    #[test]
    fn retry_after_is_honoured_within_bounds() {
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(retry_after(text, now()), seconds.map(Duration::from_secs), "{text}");
        }
        let response = WebhookResponse { status: 503, retry_after: Some("7".to_owned()), body: Vec::new() };
        let AttemptResult::RetryRequested { after, .. } = response.ending(now()) else { panic!("{response:?}") };
        assert_eq!(after, Some(Duration::from_secs(7)));
    }
}

//! Failures as envelopes for servers that speak Sentry's protocol.

use crate::issue::{Group, Place, is_own_file};
use crate::text::cut;
use crate::time::system_time;
use elias_contract::stack::parse_stack;
use elias_names::ServiceId;
use sentry_types::protocol::latest::{
    Breadcrumb, ClientSdkInfo, Envelope, Event, Exception, Frame, Level, Map, Stacktrace,
};
use sentry_types::{Dsn, Uuid};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::time::SystemTime;

/// The media type of an envelope.
pub const ENVELOPE_TYPE: &str = "application/x-sentry-envelope";
/// Bytes of a DSN.
pub const DSN_BYTES_MAX: usize = 1_024;

/// Lines before and after a line of source.
pub const CONTEXT_LINES: usize = 5;
/// Bytes of a line of source, of a line of a log and of a message.
const LINE_BYTES_MAX: usize = 500;
const BREADCRUMB_BYTES_MAX: usize = 1_000;
const MESSAGE_BYTES_MAX: usize = 8_192;
/// Log lines and frames of an event, the last and the innermost ones.
const BREADCRUMBS_MAX: usize = 100;
const FRAMES_MAX: usize = 50;
/// The name of the client.
const CLIENT: &str = concat!("elias/", env!("CARGO_PKG_VERSION"));

/// A server that takes envelopes, with the project and the key: a DSN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentryTarget(Dsn);

impl SentryTarget {
    /// Reads a DSN, such as `https://KEY@sentry.example.com/1`.
    ///
    /// # Errors
    /// What is wrong with it. The text does not repeat it: it has a key in it.
    pub fn parse(dsn: &str) -> Result<Self, String> {
        if dsn.len() > DSN_BYTES_MAX {
            return Err(format!("a DSN has at most {DSN_BYTES_MAX} bytes"));
        }
        let read = dsn.parse::<Dsn>().map_err(|error| format!("must be a DSN, https://KEY@HOST/PROJECT: {error}"))?;
        Ok(Self(read))
    }

    /// The URL that envelopes are posted to, without the key.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.envelope_api_url().to_string()
    }

    /// The value of the header `X-Sentry-Auth`.
    #[must_use]
    pub fn authorization(&self) -> String {
        let secret = self.0.secret_key().map(|secret| format!(", sentry_secret={secret}")).unwrap_or_default();
        format!("Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={}{secret}", self.0.public_key())
    }
}

/// Lines of the author's source around a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceContext {
    /// The number of the first line, from 1.
    pub first_line: u32,
    /// The lines.
    pub lines: Vec<String>,
}

impl SourceContext {
    /// The lines of `source` around the line `line`, from 1; `None` if there is no such line.
    #[must_use]
    pub fn of(source: &str, line: u32) -> Option<Self> {
        let at = usize::try_from(line).ok()?.checked_sub(1)?;
        let first = at.saturating_sub(CONTEXT_LINES);
        let lines: Vec<_> = source.lines().skip(first).take(at - first + 1 + CONTEXT_LINES).collect();
        if lines.len() <= at - first {
            return None;
        }
        let lines = lines.into_iter().map(|line| cut(line, LINE_BYTES_MAX)).collect();
        Some(Self { first_line: u32::try_from(first + 1).ok()?, lines })
    }
}

/// A failed execution, as it is told to such a server.
#[derive(Debug, Clone)]
pub struct FailureReport<'a> {
    /// The service.
    pub service: &'a ServiceId,
    /// The number of the version that ran.
    pub version: u32,
    /// The id of the execution.
    pub execution: &'a str,
    /// The start, in milliseconds since 1970.
    pub at_ms: i64,
    /// The error code, if there is one.
    pub code: Option<&'a str>,
    /// What started it.
    pub source: &'a str,
    /// The message with the stack, in positions of the original source.
    pub error: Option<&'a str>,
    /// The id of its trace.
    pub trace: Option<&'a str>,
    /// Its log lines: level and text.
    pub lines: Vec<(&'a str, &'a str)>,
    /// The issue to which it belongs.
    pub group: &'a Group,
    /// The source around the issue's place.
    pub context: Option<&'a SourceContext>,
}

impl FailureReport<'_> {
    /// The envelope. Two of one execution have the same event id, so that one that is sent again is known as such.
    ///
    /// # Errors
    /// If it cannot be written, which does not happen.
    pub fn envelope(&self) -> std::io::Result<String> {
        let ServiceId { tenant, component, environment } = self.service;
        let mut tags = Map::new();
        let component = component.as_str();
        for (name, value) in [
            ("tenant", tenant.as_str()),
            ("component", component),
            ("source", self.source),
            ("execution", self.execution),
            ("code", self.code.unwrap_or_default()),
            ("trace", self.trace.unwrap_or_default()),
            ("issue", self.group.id.as_str()),
        ] {
            if !value.is_empty() {
                // Servers refuse tags of more than 200 characters.
                tags.insert(name.to_owned(), cut(value, 200));
            }
        }
        let timestamp = system_time(self.at_ms);
        // The rest are values that say nothing.
        let event = Event {
            event_id: self.event_id(),
            level: Level::Error,
            fingerprint: Cow::Owned(vec![Cow::Owned(self.group.id.clone())]),
            culprit: self.group.place.as_ref().map(shown),
            transaction: Some(cut(self.source, LINE_BYTES_MAX)),
            platform: Cow::Borrowed("javascript"),
            timestamp,
            release: Some(Cow::Owned(format!("{component}@{}", self.version))),
            environment: Some(Cow::Borrowed(environment.as_str())),
            breadcrumbs: self.breadcrumbs(timestamp).into(),
            exception: vec![self.exception()].into(),
            tags,
            sdk: Some(Cow::Owned(ClientSdkInfo {
                name: "elias".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                integrations: Vec::new(),
                packages: Vec::new(),
            })),
            ..Event::default()
        };
        let mut envelope = Envelope::new();
        envelope.add_item(event);
        let mut bytes = Vec::new();
        envelope.to_writer(&mut bytes)?;
        String::from_utf8(bytes).map_err(std::io::Error::other)
    }

    fn event_id(&self) -> Uuid {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(self.execution.as_bytes())[..16]);
        Uuid::from_bytes(id)
    }

    /// The exception, with its name before the first colon where it is one.
    fn exception(&self) -> Exception {
        let error = self.error.unwrap_or_default();
        let message = error.split_once("\n    at ").map_or(error, |(message, _)| message);
        let (ty, value) = match (self.code, message.split_once(": ")) {
            (Some("exception"), Some((name, value))) => (cut(name, LINE_BYTES_MAX), value),
            (Some(code), _) => (code.to_owned(), message),
            (None, _) => (cut(&self.group.title, LINE_BYTES_MAX), message),
        };
        Exception {
            ty,
            value: Some(cut(value, MESSAGE_BYTES_MAX)),
            stacktrace: Stacktrace::from_frames_reversed(self.frames(error)),
            ..Exception::default()
        }
    }

    /// The frames, the innermost first; that of the issue's place has the source around it.
    fn frames(&self, error: &str) -> Vec<Frame> {
        let mut context = self.context.zip(self.group.place.as_ref());
        let parsed = error.lines().flat_map(parse_stack).take(FRAMES_MAX);
        let frame = parsed.map(|frame| {
            let is_place = |(_, place): &(&SourceContext, &Place)| {
                (place.file.as_str(), place.line, place.column) == (frame.file.as_str(), frame.line, frame.column)
            };
            let mut shown = Frame {
                function: frame.function.clone(),
                lineno: (frame.line > 0).then(|| frame.line.into()),
                colno: (frame.column > 0).then(|| frame.column.into()),
                in_app: Some(frame.line > 0 && is_own_file(&frame.file)),
                filename: Some(frame.file.clone()),
                ..Frame::default()
            };
            if context.as_ref().is_some_and(is_place)
                && let Some((source, place)) = context.take()
            {
                let at = place.line.saturating_sub(source.first_line) as usize;
                let (before, rest) = source.lines.split_at(at.min(source.lines.len()));
                shown.pre_context = before.to_vec();
                shown.context_line = rest.first().cloned();
                shown.post_context = rest.get(1..).unwrap_or_default().to_vec();
            }
            shown
        });
        frame.collect()
    }

    fn breadcrumbs(&self, timestamp: SystemTime) -> Vec<Breadcrumb> {
        let skipped = self.lines.len().saturating_sub(BREADCRUMBS_MAX);
        let lines = self.lines.iter().skip(skipped).map(|(level, text)| Breadcrumb {
            timestamp,
            category: Some("log".to_owned()),
            level: match *level {
                "trace" | "debug" => Level::Debug,
                "warn" => Level::Warning,
                "error" => Level::Error,
                _ => Level::Info,
            },
            message: Some(cut(text, BREADCRUMB_BYTES_MAX)),
            ..Breadcrumb::default()
        });
        lines.collect()
    }
}

fn shown(place: &Place) -> String {
    let Place { function, file, line, .. } = place;
    match function {
        Some(function) => format!("{function} ({file}:{line})"),
        None => format!("{file}:{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issue::{Failure, group};
    use elias_names::Environment;
    use serde_json::{Value, json};

    fn service() -> ServiceId {
        ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        }
    }

    const ERROR: &str = "TypeError: not a function\n    at parse (node_modules/x/i.js:1:1)\n    at load (src/a.ts:7:3)";

    /// The event in the envelope of a failure with this text.
    fn event(error: &str, lines: Vec<(&str, &str)>) -> Value {
        let service = service();
        let failure = Failure { code: Some("exception"), status: 500, source: "GET /cart", error: Some(error) };
        let group = group(&service, &failure);
        let source = (1..=20).map(|line| format!("line {line}\n")).collect::<String>();
        let context = SourceContext::of(&source, 7);
        let report = FailureReport {
            service: &service,
            version: 3,
            execution: "01JZ8Q4M3V5T6N7P8R9S0A1B2C",
            at_ms: 1_700_000_000_500,
            code: Some("exception"),
            source: "GET /cart",
            error: Some(error),
            trace: None,
            lines,
            group: &group,
            context: context.as_ref(),
        };
        let envelope = report.envelope().expect("written");
        let lines: Vec<_> = envelope.lines().collect();
        assert_eq!(lines.len(), 3, "{envelope}");
        let header: Value = serde_json::from_str(lines[1]).expect("the item's header");
        assert_eq!(header, json!({ "type": "event", "length": lines[2].len() }));
        serde_json::from_str(lines[2]).expect("an event")
    }

    #[test]
    fn an_event_has_release_frames_source_and_log_lines() {
        let event = event(ERROR, vec![("info", "began"), ("warn", "slow")]);
        assert_eq!((&event["release"], &event["environment"]), (&json!("shop@3"), &json!("production")));
        let exception = &event["exception"]["values"][0];
        assert_eq!((&exception["type"], &exception["value"]), (&json!("TypeError"), &json!("not a function")));
        let frames = exception["stacktrace"]["frames"].as_array().expect("frames");
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1]["in_app"], json!(false), "the innermost is the last, and a package's");
        let own = &frames[0];
        assert_eq!((&own["filename"], &own["lineno"], &own["in_app"]), (&json!("src/a.ts"), &json!(7), &json!(true)));
        assert_eq!((&own["context_line"], &own["pre_context"][0]), (&json!("line 7"), &json!("line 2")));
        assert_eq!(own["post_context"].as_array().map(Vec::len), Some(CONTEXT_LINES));
        let crumbs = event["breadcrumbs"]["values"].as_array().expect("breadcrumbs");
        assert_eq!((&crumbs[1]["message"], &crumbs[1]["level"]), (&json!("slow"), &json!("warning")));
        assert_eq!(event["culprit"], json!("load (src/a.ts:7)"));
    }

    #[test]
    fn an_execution_has_one_event_id() {
        let id = |error| event(error, Vec::new())["event_id"].clone();
        assert_eq!(id(ERROR), id("Error: other"));
    }

    #[test]
    fn hostile_texts_are_bounded_and_stay_in_their_line() {
        let long = format!("Error: {}\n    at f\n{{\"type\":\"event\"}} (src/a.ts:1:1)", "é".repeat(1_000_000));
        let lines = vec![("error", "a\nb\u{1b}[2J"); 1_000];
        let deep = event(&format!("Error: deep{}", "\n    at f (src/a.ts:1:1)".repeat(1_000)), Vec::new());
        let frames = &deep["exception"]["values"][0]["stacktrace"]["frames"];
        assert_eq!(frames.as_array().map(Vec::len), Some(FRAMES_MAX));
        let event = event(&long, lines);
        assert!(event.to_string().len() < 64 << 10, "{} bytes", event.to_string().len());
        assert_eq!(event["breadcrumbs"]["values"].as_array().map(Vec::len), Some(BREADCRUMBS_MAX));
    }

    #[test]
    fn a_dsn_is_a_url_with_key_and_project() {
        let target = SentryTarget::parse("https://abc@sentry.example.com/behind/42").expect("a DSN");
        assert_eq!(target.url(), "https://sentry.example.com/behind/api/42/envelope/");
        assert!(target.authorization().ends_with("sentry_key=abc"), "{}", target.authorization());
        let long = format!("https://abc@{}.example/1", "a".repeat(DSN_BYTES_MAX));
        for wrong in ["", "https://sentry.example.com/1", "ftp://a@b/1", "https://abc@b", "abc", &long] {
            let error = SentryTarget::parse(wrong).expect_err(wrong);
            assert!(!error.contains("abc"), "{error}");
        }
    }

    #[test]
    fn source_is_shown_around_lines_that_are_there() {
        let context = |line| SourceContext::of("a\nb\nc", line);
        assert_eq!(context(1).map(|found| (found.first_line, found.lines.len())), Some((1, 3)));
        assert_eq!((context(0), context(4), context(u32::MAX)), (None, None, None));
    }
}

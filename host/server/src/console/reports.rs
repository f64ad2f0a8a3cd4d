//! Reports of browsers about what the policies of the console refused (CSP Level 3, Reporting API).
//!
//! Anyone can send one, so it is worth no more than a look: they are counted, few are kept and fewer are logged.

use crate::admin::{Authenticated, Problem};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use elias_names::TenantId;
use elias_platform::access::Permission;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reports that are kept, the newest.
const KEPT: usize = 20;
/// Reports of one request that are read.
const OF_REQUEST: usize = 20;
/// Reports that are logged in a minute.
const LOGGED: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Characters of a text in a report.
const TEXT_CHARS: usize = 200;

/// A violation of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Violation {
    /// The page.
    document: String,
    /// The directive that refused something, such as `script-src`.
    directive: String,
    /// What was refused: a URL, or a word such as `inline`.
    blocked: String,
}

/// The reports since the host began.
#[derive(Default)]
pub(super) struct CspReports(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: u64,
    newest: VecDeque<Violation>,
    /// The minute for which reports that were logged are counted.
    minute: Option<Instant>,
    logged: u32,
}

/// How many there were, and the newest.
#[derive(Serialize)]
pub(super) struct ReportSummary {
    count: u64,
    newest: Vec<Violation>,
}

/// Takes the reports of a browser.
pub(super) async fn take(
    Extension(reports): Extension<Arc<CspReports>>,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let Ok(body) = body else { return StatusCode::PAYLOAD_TOO_LARGE };
    let Ok(document) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    for violation in violations(&document).take(OF_REQUEST) {
        reports.count(violation, Instant::now());
    }
    StatusCode::NO_CONTENT
}

/// Shows how many there were. What is in them is of any tenant's users.
pub(super) async fn show(
    Authenticated(session): Authenticated,
    Extension(reports): Extension<Arc<CspReports>>,
) -> Result<Json<ReportSummary>, Problem> {
    session.require(Permission::Backup, &TenantId::system(), None)?;
    let counts = reports.0.lock();
    Ok(Json(ReportSummary { count: counts.all, newest: counts.newest.iter().cloned().collect() }))
}

impl CspReports {
    fn count(&self, violation: Violation, now: Instant) {
        let mut counts = self.0.lock(); // it is whole after every operation
        counts.all = counts.all.saturating_add(1);
        if counts.minute.is_none_or(|minute| now.duration_since(minute) >= MINUTE) {
            (counts.minute, counts.logged) = (Some(now), 0);
        }
        if counts.logged < LOGGED {
            counts.logged += 1;
            let Violation { document, directive, blocked } = &violation;
            tracing::warn!(
                %document, %directive, %blocked,
                "a browser refused something by a policy of the web console; more are counted than are logged"
            );
        }
        if counts.newest.len() == KEPT {
            counts.newest.pop_front();
        }
        counts.newest.push_back(violation);
    }
}

/// The violations in a document: a single one by `report-uri`, or a list by `report-to`.
fn violations(document: &Value) -> impl Iterator<Item = Violation> {
    let of_list = document.as_array().into_iter().flatten().filter(|report| report["type"] == "csp-violation");
    let of_list = of_list.map(|report| {
        let body = &report["body"];
        violation(&body["documentURL"], &body["effectiveDirective"], &body["blockedURL"])
    });
    let single = document.get("csp-report").map(|report| {
        let directive = report.get("effective-directive").unwrap_or(&report["violated-directive"]);
        violation(&report["document-uri"], directive, &report["blocked-uri"])
    });
    of_list.chain(single)
}

fn violation(document: &Value, directive: &Value, blocked: &Value) -> Violation {
    let text = |value: &Value| {
        let letters = value.as_str().unwrap_or_default().chars();
        letters.filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(TEXT_CHARS).collect()
    };
    Violation { document: text(document), directive: text(directive), blocked: text(blocked) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_reports_are_read_and_everything_else_is_nothing() {
        let wanted = Violation {
            document: "http://a/console/".to_owned(),
            directive: "script-src-elem".to_owned(),
            blocked: "inline".to_owned(),
        };
        let single = json!({ "csp-report": {
            "document-uri": "http://a/console/", "effective-directive": "script-src-elem", "blocked-uri": "inline",
        } });
        let list = json!([
            { "type": "deprecation", "body": {} },
            { "type": "csp-violation", "body": {
                "documentURL": "http://a/console/", "effectiveDirective": "script-src-elem", "blockedURL": "inline",
            } },
        ]);
        for document in [single, list] {
            assert_eq!(violations(&document).collect::<Vec<_>>(), std::slice::from_ref(&wanted));
        }
        for document in [json!(null), json!([]), json!({}), json!([1, "a"]), json!("csp-report")] {
            assert_eq!(violations(&document).count(), 0, "{document}");
        }
        let hostile = json!({ "csp-report": { "document-uri": "\u{1b}[2J".repeat(1_000), "blocked-uri": 1 } });
        let read = violations(&hostile).next().expect("one");
        assert!(read.document.len() == TEXT_CHARS && !read.document.contains('\u{1b}') && read.blocked.is_empty());
    }

    #[test]
    fn all_are_counted_and_the_newest_kept() {
        let (reports, now) = (CspReports::default(), Instant::now());
        for number in 0..1_000 {
            let text = number.to_string();
            let violation = Violation { document: text.clone(), directive: text.clone(), blocked: text };
            reports.count(violation, now);
        }
        let counts = reports.0.lock();
        assert_eq!((counts.all, counts.newest.len(), counts.logged), (1_000, KEPT, LOGGED));
        assert_eq!(counts.newest.back().map(|newest| &*newest.document), Some("999"));
    }
}

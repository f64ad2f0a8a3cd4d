//! Closed hours, files, and messages to the webhook.

use super::*;
use elias_triggers::event::webhook::verify;
use elias_triggers::webhook_delivery::WebhookResponse;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use zeroize::Zeroizing;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn usage(hour_at: u64) -> UsageHour {
    let tenant = "acme".parse().expect("a name");
    let hour_at = signed(hour_at);
    UsageHour { tenant, hour_at, executions: 3, fuel: 40, bytes_in: 5, bytes_out: 6, storage_bytes: 7 }
}

#[test]
fn an_hour_is_closed_when_hosts_have_had_the_time_to_tell_it() {
    let is_closed = |now| record(usage(HOUR_MS), Now::from_unix_ms(now)).is_closed;
    assert!(!is_closed(HOUR_MS) && !is_closed(2 * HOUR_MS) && !is_closed(2 * HOUR_MS + CLOSED_AFTER_MS - 1));
    assert!(is_closed(2 * HOUR_MS + CLOSED_AFTER_MS));
    assert!(!record(usage(0), Now::from_unix_ms(0)).is_closed, "nor one in the future");
}

#[test]
fn a_line_of_csv_has_a_value_for_each_column() {
    let line = record(usage(0), Now::from_unix_ms(0)).to_csv();
    assert_eq!(line, "acme,0,3,40,5,6,7,false\r\n");
    assert_eq!(line.split(',').count(), UsageRecord::CSV_HEADER.split(',').count());
}

#[test]
fn a_time_has_a_beginning_before_its_end() {
    let now = Now::from_unix_ms(100 * HOUR_MS);
    let times = |from, to| times(&UsageFilter { from, to }, now).ok();
    assert_eq!(times(None, None), Some((signed(76 * HOUR_MS), i64::MAX)));
    assert_eq!(times(Some(5), Some(6)), Some((5, 6)));
    assert_eq!((times(Some(6), Some(6)), times(Some(-1), None)), (None, None));
}

/// A receiver that responds with a status, and keeps what it got.
struct Receiver {
    status: u16,
    got: Mutex<Vec<WebhookRequest>>,
}

impl WebhookSender for Receiver {
    fn check(&self, _: Option<&Value>, _: &str) -> std::result::Result<(), String> {
        Ok(())
    }

    fn send<'a>(
        &'a self,
        target: WebhookTarget<'a>,
        request: WebhookRequest,
    ) -> BoxFuture<'a, std::result::Result<WebhookResponse, String>> {
        assert_eq!(target.url, "https://billing.example/usage");
        self.got.lock().push(request);
        async move { Ok(WebhookResponse { status: self.status, ..WebhookResponse::default() }) }.boxed()
    }
}

#[tokio::test]
async fn a_message_is_signed_and_has_its_revision_and_only_success_is_success() {
    let webhook = UsageWebhook {
        url: "https://billing.example/usage".to_owned(),
        secret: Zeroizing::new(SECRET.to_owned()),
        http: json!({}),
    };
    let notice = UsageNotice { usage: usage(HOUR_MS), revision: 2 };
    let now = Now::from_unix_ms(3 * HOUR_MS);
    for (status, is_taken) in [(200, true), (204, true), (302, false), (500, false)] {
        let receiver = Receiver { status, got: Mutex::default() };
        assert_eq!(send(&webhook, &receiver, &notice, now).await.is_ok(), is_taken, "{status}");
        let got = receiver.got.lock();
        let headers: [_; 4] = got[0].headers().try_into().expect("four headers");
        let [_, (_, id), (_, timestamp), (_, signatures)] = headers;
        assert_eq!(id, format!("usage-acme-{HOUR_MS}-2"));
        let secrets = [SECRET.parse().expect("a secret")];
        assert_eq!(verify(&secrets, &id, &timestamp, &signatures, got[0].body.as_bytes(), now), Ok(()));
        let event: Value = serde_json::from_str(&got[0].body).expect("JSON");
        assert_eq!((&event["data"]["executions"], &event["data"]["revision"]), (&json!(3), &json!(2)));
    }
    let refused = Receiver { status: 422, got: Mutex::default() };
    assert_eq!(send(&webhook, &refused, &notice, now).await, Err(NotTaken::Refused(422)));
    let unsigned = UsageWebhook { secret: Zeroizing::new("secret".to_owned()), ..webhook };
    let receiver = Receiver { status: 200, got: Mutex::default() };
    assert!(send(&unsigned, &receiver, &notice, now).await.is_err());
    assert!(receiver.got.lock().is_empty());
}

/// A receiver that refuses the usage of `acme`, or all if `is_away`.
struct Picky {
    is_away: bool,
    got: Mutex<Vec<String>>,
}

impl WebhookSender for Picky {
    fn check(&self, _: Option<&Value>, _: &str) -> std::result::Result<(), String> {
        Ok(())
    }

    fn send<'a>(
        &'a self,
        _: WebhookTarget<'a>,
        request: WebhookRequest,
    ) -> BoxFuture<'a, std::result::Result<WebhookResponse, String>> {
        let event: Value = serde_json::from_str(&request.body).expect("JSON");
        let subject = event["subject"].as_str().expect("a tenant").to_owned();
        let status = match (self.is_away, subject.as_str()) {
            (true, _) => 503,
            (false, "acme") => 400,
            (false, _) => 204,
        };
        self.got.lock().push(subject);
        async move { Ok(WebhookResponse { status, ..WebhookResponse::default() }) }.boxed()
    }
}

#[tokio::test]
async fn a_tenant_whose_usage_is_refused_keeps_that_of_others_from_nothing() {
    let (store, _folder) = crate::test_store::sqlite();
    let webhook = UsageWebhook {
        url: "https://billing.example/usage".to_owned(),
        secret: Zeroizing::new(SECRET.to_owned()),
        http: json!({}),
    };
    let other = UsageHour { tenant: "other".parse().expect("a name"), ..usage(HOUR_MS) };
    let rows = [usage(0), usage(HOUR_MS), other].map(|usage| UsageRow { usage, source: "host".to_owned() });
    let mut scope = store.host_write().await.expect("a scope");
    scope.put_usage(&rows).await.expect("stored");
    scope.commit().await.expect("committed");
    let untold = async || {
        let mut scope = store.host_read().await.expect("a scope");
        scope.untold_usage((0, signed(2 * HOUR_MS)), 10).await.expect("read")
    };
    let (clock, until) = (Clock::start(), Instant::now() + TELL_ALL_EVERY);
    let away = Picky { is_away: true, got: Mutex::default() };
    assert!(tell_notices(&store, (&webhook, &away), untold().await, until, &clock).await.is_err());
    assert_eq!(*away.got.lock(), ["acme"], "it is not asked again at once");
    let picky = Picky { is_away: false, got: Mutex::default() };
    assert!(tell_notices(&store, (&webhook, &picky), untold().await, until, &clock).await.expect("told"));
    assert_eq!(*picky.got.lock(), ["acme", "other"], "what follows of a tenant that is refused waits");
    let left = untold().await;
    assert!(left.len() == 2 && left.iter().all(|notice| notice.usage.tenant.as_str() == "acme"), "{left:?}");
}

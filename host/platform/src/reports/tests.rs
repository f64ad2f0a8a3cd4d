//! What is sent to a server and what is lost, counted to the unit.

use super::*;
use crate::test_records::failed;
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// A server that answers with the next of these statuses, and with 200 then; it has a permit for each answer.
struct Server {
    statuses: Mutex<Vec<u16>>,
    answers: Semaphore,
    got: Mutex<Vec<(String, bool)>>,
}

impl Server {
    fn new(statuses: &[u16], answers: usize) -> Arc<Self> {
        let statuses = Mutex::new(statuses.iter().rev().copied().collect());
        Arc::new(Self { statuses, answers: Semaphore::new(answers), got: Mutex::default() })
    }
}

impl EnvelopeSender for Server {
    fn send<'a>(
        &'a self,
        target: EnvelopeTarget<'a>,
        body: String,
    ) -> BoxFuture<'a, std::result::Result<EnvelopeResponse, String>> {
        let (url, may_be_private) = (target.url.to_owned(), target.may_be_private);
        async move {
            assert!(body.lines().count() == 3 && target.authorization.contains("sentry_key=key"), "{body}");
            self.answers.acquire().await.map_err(|error| error.to_string())?.forget();
            self.got.lock().push((url, may_be_private));
            let status = self.statuses.lock().pop().unwrap_or(200);
            Ok(EnvelopeResponse { status, retry_after: (status == 429).then(|| "7".to_owned()) })
        }
        .boxed()
    }
}

fn acme() -> TenantId {
    "acme".parse().expect("a name")
}

fn reports(server: &Arc<Server>, dsn: Option<&str>) -> Reports {
    let mut config = PlatformConfig::new("unused");
    config.envelopes = Some(Arc::clone(server) as _);
    config.sentry_dsn = dsn.map(str::to_owned);
    Reports::new(&config).expect("they can be sent")
}

const DSN: &str = "https://key@sentry.example.com/1";
const URL: &str = "https://sentry.example.com/api/1/envelope/";

/// Waits, by the paused clock, until so many failures are sent or lost.
async fn counted(reports: &Reports, count: u64) -> (u64, u64) {
    let all = async {
        while reports.counts().sent() + reports.counts().lost() < count {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), all).await.expect("they are sent or lost");
    (reports.counts().sent(), reports.counts().lost())
}

#[tokio::test(start_paused = true)]
async fn failures_reach_the_server_of_the_host_and_that_of_the_tenant() {
    let server = Server::new(&[], 100);
    let reports = reports(&server, Some(DSN));
    reports.update(&BTreeMap::from([(acme(), ("https://key@errors.acme.example/2".to_owned(), false))]));
    let completed = ExecutionRecord { outcome: "completed".into(), ..failed("") };
    reports.offer(&[failed("Error: a"), completed]);
    assert_eq!(counted(&reports, 2).await, (2, 0));
    let mut got = server.got.lock().clone();
    got.sort();
    let of_tenant = "https://errors.acme.example/api/2/envelope/";
    assert_eq!(got, [(of_tenant.to_owned(), false), (URL.to_owned(), true)]);
    reports.update(&BTreeMap::new());
    reports.offer(&[failed("Error: a")]);
    assert_eq!(counted(&reports, 3).await, (3, 0), "the tenant has no server any more");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_losses_are_counted_to_the_unit() {
    let server = Server::new(&[], 0);
    let reports = reports(&server, Some(DSN));
    let batch: Vec<_> = (0..1_000).map(|_| failed("Error: a")).collect();
    reports.offer(&batch);
    assert_eq!(reports.counts().lost(), 1_000 - WAITING_MAX as u64, "the server does not answer");
    server.answers.add_permits(1_000);
    assert_eq!(counted(&reports, 1_000).await, (WAITING_MAX as u64, 1_000 - WAITING_MAX as u64));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_wait_are_bounded() {
    let server = Server::new(&[], 0);
    let reports = reports(&server, Some(DSN));
    let large = "x".repeat(WAITING_BYTES_MAX / 4);
    reports.offer(&[&large; 10].map(|error| failed(error)));
    assert_eq!(reports.counts().lost(), 7, "the fourth has the bytes of its source too");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_time_is_asked_again_and_one_that_refuses_is_not() {
    let server = Server::new(&[429, 503, 200, 400, 502, 502, 502], 100);
    let reports = reports(&server, Some(DSN));
    reports.offer(&[failed("Error: a")]);
    assert_eq!(counted(&reports, 1).await, (1, 0), "the third try");
    reports.offer(&[failed("Error: b")]);
    assert_eq!(counted(&reports, 2).await, (1, 1), "refused at once");
    reports.offer(&[failed("Error: c")]);
    assert_eq!(counted(&reports, 3).await, (1, 2), "three tries");
    assert_eq!(server.got.lock().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_a_server_that_was_removed() {
    let server = Server::new(&[503], 100);
    let reports = reports(&server, None);
    let wanted = |dsn: &str| BTreeMap::from([(acme(), (dsn.to_owned(), false))]);
    reports.update(&wanted("https://key@errors.acme.example/2"));
    reports.offer(&[failed("Error: a"), failed("Error: b"), failed("Error: c")]);
    while server.got.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // The first would be tried again, and two wait.
    reports.update(&wanted("https://key@errors.acme.example/3"));
    assert_eq!(counted(&reports, 3).await, (0, 3));
    assert_eq!(server.got.lock().len(), 1);
    reports.offer(&[failed("Error: d")]);
    assert_eq!(counted(&reports, 4).await, (1, 3), "the new server gets what comes now");
}

#[test]
fn a_dsn_that_is_none_is_refused_without_its_text() {
    let settings = TenantSettings { sentry_dsn: Some("https://secret@nowhere".into()), ..TenantSettings::default() };
    let error = check_settings(&settings).expect_err("refused");
    assert_eq!(error.code(), Code::BadInput);
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(check_settings(&TenantSettings::default()).is_ok());
}

//! What is gathered reaches the store, once and counted.

use super::*;
use crate::test_store::{create_tenant, sqlite};
use elias_names::Environment;
use elias_store::SecurityEventQuery;

fn acme() -> TenantId {
    "acme".parse().expect("a name")
}

fn shop() -> ServiceId {
    ServiceId { tenant: acme(), component: "shop".parse().expect("a name"), environment: Environment::Production }
}

fn ada() -> Actor {
    Actor { name: "ada".into(), address: "192.0.2.1".into() }
}

async fn events(store: &Store, tenant: &TenantId) -> Vec<(SecurityEventKind, String, u64)> {
    let mut scope = store.read(tenant).await.expect("a scope");
    let rows = scope.security_events(&SecurityEventQuery::default(), 100).await.expect("read");
    let mut events: Vec<_> = rows.into_iter().map(|row| (row.key.kind, row.key.subject, row.repeats.count)).collect();
    events.sort();
    events
}

async fn actions(store: &Store, tenant: &TenantId) -> Vec<(String, String)> {
    let mut scope = store.read(tenant).await.expect("a scope");
    let entries = scope.audit_since(0, "", 100).await.expect("read");
    entries.into_iter().map(|entry| (entry.action, entry.subject)).collect()
}

#[tokio::test]
async fn events_are_stored_with_their_counts() {
    let (store, _folder) = sqlite();
    create_tenant(&store, &acme()).await;
    let log = SecurityLog::default();
    for _ in 0..3 {
        log.denied(&acme(), ada(), "GET /v1/tenants/{tenant}/audit", Code::Forbidden);
    }
    log.sign_in_failed(Some(&acme()), Some("01J"), "192.0.2.1", Code::Unauthenticated);
    log.sign_in_failed(None, Some("secret of nobody"), "192.0.2.1", Code::Unauthenticated);
    log.notices(&shop(), BTreeMap::from([(ServiceNotice::EgressRefused(Some("b.example:443".into())), 7)]));
    log.flush(&store).await.expect("stored");
    log.flush(&store).await.expect("nothing is left");
    let expected = [
        (SecurityEventKind::Denied, "GET /v1/tenants/{tenant}/audit".to_owned(), 3),
        (SecurityEventKind::EgressRefused, "b.example:443".to_owned(), 7),
        (SecurityEventKind::SignInFailed, "token".to_owned(), 1),
    ];
    assert_eq!(events(&store, &acme()).await, expected);
    let of_host = events(&store, &TenantId::system()).await;
    assert_eq!(of_host, [(SecurityEventKind::SignInFailed, "token".to_owned(), 1)]);
}

#[tokio::test]
async fn who_signed_in_and_what_read_a_secret_is_written_once_a_day() {
    let (store, _folder) = sqlite();
    create_tenant(&store, &acme()).await;
    let log = SecurityLog::default();
    for _ in 0..5 {
        log.signed_in(&acme(), &ada(), || json!({ "role": "viewer" }));
        log.notices(&shop(), BTreeMap::from([(ServiceNotice::SecretRead("TOKEN".into()), 100)]));
        log.flush(&store).await.expect("stored");
    }
    log.signed_in(&acme(), &Actor { address: "192.0.2.2".into(), ..ada() }, || Value::Null);
    log.flush(&store).await.expect("stored");
    let written = actions(&store, &acme()).await;
    let of = |action: &str| written.iter().filter(|(written, _)| written == action).count();
    assert_eq!((of("session.sign-in"), of("secret.read")), (2, 1), "{written:?}");
    let subject = written.iter().find(|(action, _)| action == "secret.read").map(|(_, subject)| subject.clone());
    assert_eq!(subject, Some(format!("{}/TOKEN", shop().subject())));
}

fn sign_in(log: &SecurityLog, tenant: &TenantId, address: usize) {
    log.signed_in(tenant, &Actor { address: address.to_string(), ..ada() }, || Value::Null);
}

/// The notes that wait, and those that were lost.
fn waiting(log: &SecurityLog) -> (usize, u64) {
    let notes = log.notes.lock();
    (notes.len, notes.lost)
}

#[tokio::test]
async fn notes_that_wait_are_bounded_and_those_of_a_tenant_take_no_room_from_others() {
    let (store, _folder) = sqlite();
    let log = SecurityLog::default();
    let tenants: Vec<TenantId> = (0..11).map(|number| format!("t{number}").parse().expect("a name")).collect();
    for address in 0..WAITING_OF_TENANT_MAX + 7 {
        sign_in(&log, &tenants[0], address);
    }
    assert_eq!(waiting(&log), (WAITING_OF_TENANT_MAX, 7));
    for tenant in &tenants[1..] {
        (0..WAITING_OF_TENANT_MAX).for_each(|address| sign_in(&log, tenant, address));
    }
    assert_eq!(waiting(&log), (WAITING_MAX, 7 + WAITING_OF_TENANT_MAX as u64));
    log.flush(&store).await.expect("stored");
    // What was written is not written again; that for which there was no room is.
    sign_in(&log, &tenants[0], 0);
    sign_in(&log, &tenants[0], WAITING_OF_TENANT_MAX);
    assert_eq!(waiting(&log), (1, 0));
}

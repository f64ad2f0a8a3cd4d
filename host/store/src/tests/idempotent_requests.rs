//! Requests to components with an idempotency key.

use super::*;
use crate::idempotent_requests::{REQUESTS_MAX, RESPONSE_BYTES_MAX};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn request(tenant: &TenantId, key: &str, claim: &str) -> IdempotentRequest {
    IdempotentRequest {
        service: service(tenant),
        caller: "ada".to_owned(),
        key: key.to_owned(),
        fingerprint: "POST /orders".to_owned(),
        claim: claim.to_owned(),
    }
}

fn reply(bytes: usize) -> StoredReply {
    let headers = vec![("content-type".to_owned(), "text/plain; name=\u{e4}".to_owned())];
    StoredReply { status: 201, headers, body: vec![0xff; bytes] }
}

async fn claim(store: &Store, request: &IdempotentRequest, lease: Duration) -> bool {
    let mut scope = store.write(&request.service.tenant).await.expect("a scope");
    let claimed = scope.claim_idempotency_key(request, lease).await.expect("the store is there");
    scope.commit().await.expect("committed");
    claimed
}

async fn end(store: &Store, request: &IdempotentRequest, reply: Option<&StoredReply>, kept: Duration) -> bool {
    let mut scope = store.write(&request.service.tenant).await.expect("a scope");
    let stored = scope.store_reply(request, 201, reply, kept).await.expect("the store is there");
    scope.commit().await.expect("committed");
    stored
}

async fn state(store: &Store, request: &IdempotentRequest) -> KeyState {
    let mut scope = store.read(&request.service.tenant).await.expect("a scope");
    scope.idempotency_key_state(request).await.expect("the store is there")
}

async fn release(store: &Store, request: &IdempotentRequest) {
    let mut scope = store.write(&request.service.tenant).await.expect("a scope");
    scope.release_idempotency_key(request).await.expect("the store is there");
    scope.commit().await.expect("committed");
}

async fn a_key_is_claimed_once_and_its_response_is_for_the_same_request_of_the_same_caller(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    let first = request(&a, "k", "1");
    assert_eq!(state(store, &first).await, KeyState::Free);
    assert!(claim(store, &first, LEASE).await);
    let second = request(&a, "k", "2");
    assert!(!claim(store, &second, LEASE).await, "somebody has it");
    assert_eq!(state(store, &second).await, KeyState::InProgress);
    let other = IdempotentRequest { fingerprint: "POST /refunds".to_owned(), ..second.clone() };
    assert_eq!(state(store, &other).await, KeyState::Mismatch);

    assert!(!end(store, &second, Some(&reply(3)), DAY).await, "who does not have it stores nothing");
    release(store, &second).await;
    assert!(end(store, &first, Some(&reply(3)), DAY).await);
    assert_eq!(state(store, &second).await, KeyState::Replied(reply(3)));
    assert_eq!(state(store, &other).await, KeyState::Mismatch);
    assert!(!claim(store, &second, LEASE).await);

    let caller = IdempotentRequest { caller: "bo".to_owned(), ..second.clone() };
    let staging = ServiceId { tenant: a.clone(), component: shop(), environment: Environment::Staging };
    let elsewhere = IdempotentRequest { service: staging, ..second };
    let b = create_tenant(store, "b").await;
    for free in [caller, elsewhere, request(&b, "k", "3")] {
        assert_eq!(state(store, &free).await, KeyState::Free, "{free:?}");
    }
}

async fn of_claims_at_once_one_succeeds(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    for round in 0..5 {
        let attempts = (0..8).map(|number| {
            let (store, request) = (store.clone(), request(&a, &format!("k{round}"), &format!("{round} {number}")));
            tokio::spawn(async move { claim(&store, &request, LEASE).await })
        });
        let mut claimed = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            claimed += usize::from(attempt.await.expect("no panic"));
        }
        assert_eq!(claimed, 1, "round {round}");
    }
}

async fn a_key_is_free_again_when_it_is_released_or_its_time_is_up(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    let (first, second) = (request(&a, "k", "1"), request(&a, "k", "2"));
    assert!(claim(store, &first, LEASE).await);
    release(store, &first).await;
    assert_eq!(state(store, &second).await, KeyState::Free);

    // The host that had it died.
    assert!(claim(store, &first, Duration::ZERO).await);
    later().await;
    assert_eq!(state(store, &second).await, KeyState::Free);
    assert!(claim(store, &second, LEASE).await);
    assert!(!end(store, &first, Some(&reply(1)), DAY).await, "it comes too late");

    assert!(end(store, &second, None, DAY).await);
    assert_eq!(state(store, &first).await, KeyState::ReplyNotStored);
    assert!(end(store, &second, Some(&reply(1)), Duration::ZERO).await);
    later().await;
    assert_eq!(state(store, &first).await, KeyState::Free, "it is kept for so long and no longer");
    let mut scope = store.host_write().await.expect("a scope");
    assert_eq!(scope.prune_idempotent_requests(9).await.expect("pruned"), 1);
    scope.commit().await.expect("committed");
    assert!(!end(store, &second, None, DAY).await, "the row is gone");
}

async fn those_whose_time_is_up_are_deleted_in_parts(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    for key in ["1", "2", "3"] {
        assert!(claim(store, &request(&a, key, key), Duration::ZERO).await);
    }
    let kept = request(&a, "kept", "4");
    assert!(claim(store, &kept, LEASE).await);
    later().await;
    let mut scope = store.host_write().await.expect("a scope");
    for expected in [2, 1, 0] {
        assert_eq!(scope.prune_idempotent_requests(2).await.expect("pruned"), expected);
    }
    scope.commit().await.expect("committed");
    assert_eq!(state(store, &kept).await, KeyState::InProgress);
}

async fn of_too_many_the_oldest_that_have_ended_go(test_store: &TestStore) {
    let store = &test_store.store;
    let a = create_tenant(store, "a").await;
    let running = request(&a, "running", "0");
    assert!(claim(store, &running, LEASE).await);
    let each = usize::try_from(RESPONSE_BYTES_MAX).expect("it fits") / 4;
    for number in 0..4 {
        later().await;
        let large = request(&a, &format!("large {number}"), &format!("large {number}"));
        // As base64 each takes a third of the bytes.
        assert!(claim(store, &large, LEASE).await && end(store, &large, Some(&reply(each)), DAY).await);
    }
    let mut scope = store.write(&a).await.expect("a scope");
    assert_eq!(scope.evict_idempotent_requests().await.expect("evicted"), 2);
    assert_eq!(scope.evict_idempotent_requests().await.expect("evicted"), 0);
    scope.commit().await.expect("committed");
    for (key, is_there) in [("large 0", false), ("large 1", false), ("large 2", true), ("large 3", true)] {
        assert_eq!(state(store, &request(&a, key, "x")).await != KeyState::Free, is_there, "{key}");
    }
    assert_eq!(state(store, &request(&a, "running", "x")).await, KeyState::InProgress);

    let insert = "WITH RECURSIVE numbers (number) AS \
                  (SELECT CAST(1 AS BIGINT) UNION ALL SELECT number + 1 FROM numbers WHERE number < $2) \
                  INSERT INTO idempotent_requests \
                  (tenant, component, environment, caller, key, fingerprint, claim, until, created_at, status) \
                  SELECT $1, 'shop', 'production', '', CAST(number AS TEXT), '', CAST(number AS TEXT), 9000000000000, \
                  number, 200 FROM numbers";
    let mut scope = store.write(&a).await.expect("a scope");
    let query = scope.query(insert).bind(REQUESTS_MAX);
    scope.run(query).await.expect("inserted");
    assert!(scope.evict_idempotent_requests().await.expect("evicted") > 10_000);
    assert_eq!(scope.evict_idempotent_requests().await.expect("evicted"), 0);
    scope.commit().await.expect("committed");
    assert_eq!(state(store, &request(&a, "running", "x")).await, KeyState::InProgress);
}

on_both! {
    a_key_is_claimed_once_and_its_response_is_for_the_same_request_of_the_same_caller
    of_claims_at_once_one_succeeds
    a_key_is_free_again_when_it_is_released_or_its_time_is_up
    those_whose_time_is_up_are_deleted_in_parts
    of_too_many_the_oldest_that_have_ended_go
}

//! Tokens in the store: what is remembered, what is hashed, and what strangers can make the host do.

use super::attempts::IN_VAIN_PER_MINUTE;
use super::*;
use cap_std::ambient_authority;
use elias_api::{TenantSettings, Token};
use std::cell::Cell;

struct Bench {
    access: Access,
    store: Store,
    folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), None).expect("it opens");
    let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).expect("the folder");
    Bench { access: Access::open(store.clone(), &dir, None).expect("it opens"), store, folder }
}

impl Bench {
    /// A token of a new tenant's, with its hash as `hash` makes it.
    async fn token(&self, tenant: &str, hash: impl FnOnce(&Bearer) -> String) -> Bearer {
        let tenant: TenantId = tenant.parse().expect("a name");
        let bearer = Bearer::generate();
        let token = Token {
            id: bearer.id().to_owned(),
            tenant: tenant.clone(),
            name: "t".into(),
            role: TokenRole::BuiltIn(Role::Viewer),
            components: None,
            user_id: None,
            organization_id: None,
            created_at: now_ms(),
            created_by: "test".into(),
            expires_at: now_ms() + 3_600_000,
            revoked_at: None,
        };
        let mut scope = self.store.write(&tenant).await.expect("a scope");
        scope.create_tenant(&TenantSettings::default(), &Actor::host()).await.expect("made");
        scope.insert_token(&token, &hash(&bearer), &Actor::host()).await.expect("stored");
        scope.commit().await.expect("committed");
        bearer
    }

    async fn code(&self, bearer: &Bearer, address: &str) -> std::result::Result<(), Code> {
        self.access.authenticate(&bearer.to_string(), address).await.map(drop).map_err(|error| error.code())
    }

    async fn stored_hash(&self, bearer: &Bearer) -> String {
        let mut scope = self.store.host_read().await.expect("a scope");
        scope.token(bearer.id()).await.expect("read").expect("it is there").1
    }
}

#[tokio::test]
async fn a_hash_of_a_former_release_works_once_and_is_replaced() {
    let bench = bench();
    let old = bench.token("acme", Bearer::slow_hash).await;
    assert_eq!(bench.code(&old.guess(), "192.0.2.1").await, Err(Code::Unauthenticated));
    assert!(bench.stored_hash(&old).await.starts_with("$argon2id$"), "a guess replaces nothing");
    assert_eq!(bench.code(&old, "192.0.2.2").await, Ok(()));
    assert_eq!((bench.access.slow_hashes.computed(), bench.stored_hash(&old).await), (2, old.hash()));
    bench.access.forget();
    assert_eq!(bench.code(&old, "192.0.2.2").await, Ok(()));
    assert_eq!(bench.code(&old.guess(), "192.0.2.2").await, Err(Code::Unauthenticated));
    assert_eq!(bench.access.slow_hashes.computed(), 2, "no slow hash any more");
}

#[tokio::test]
async fn wrong_tokens_run_no_slow_hash_and_beyond_the_limit_not_even_a_look_up() {
    let bench = bench();
    let (new, stranger) = (bench.token("acme", Bearer::hash).await, "192.0.2.1");
    assert_eq!(bench.code(&new, "192.0.2.9").await, Ok(()));
    assert_eq!(bench.code(&new.guess(), stranger).await, Err(Code::Unauthenticated));
    let old = bench.token("other", Bearer::slow_hash).await;
    assert_eq!(bench.access.slow_hashes.computed(), 0);
    // As if the guesses of a minute came an hour from now, so that none is forgiven while the test runs.
    let later = u64::try_from(now_ms()).expect("after 1970") + 3_600_000;
    let address = stranger.parse().ok();
    (0..IN_VAIN_PER_MINUTE).for_each(|_| bench.access.attempts.count(address, later));
    for _ in 0..20 {
        assert_eq!(bench.code(&old.guess(), stranger).await, Err(Code::RateLimited));
    }
    assert_eq!(bench.access.slow_hashes.computed(), 0, "not one hash");
    assert_eq!(bench.code(&new, stranger).await, Ok(()), "who is known is known at that address too");
    assert_eq!(bench.code(&old, "192.0.2.2").await, Ok(()), "and another address is not concerned");
}

#[tokio::test]
async fn guesses_at_a_tenants_old_tokens_hold_up_no_other_tenant() {
    let bench = bench();
    let (attacked, other) =
        (bench.token("acme", Bearer::slow_hash).await, bench.token("other", Bearer::slow_hash).await);
    let acme: TenantId = "acme".parse().expect("a name");
    let guessing = bench.access.slow_hashes.enter(&acme).await.expect("the tenant's slot");
    assert_eq!(bench.code(&other, "192.0.2.2").await, Ok(()), "another tenant has its own");
    let third = bench.token("third", Bearer::slow_hash).await;
    let is_through = Cell::new(false);
    let own = async {
        assert_eq!(bench.code(&attacked, "192.0.2.3").await, Ok(()));
        is_through.set(true);
    };
    let others = async {
        assert_eq!(bench.code(&third, "192.0.2.4").await, Ok(()));
        assert!(!is_through.get(), "the tenant's own wait for each other, though they came first");
        drop(guessing);
    };
    futures::join!(own, others);
}

#[tokio::test]
async fn what_is_confirmed_is_asked_of_the_store_and_not_of_what_is_remembered() {
    let bench = bench();
    let bearer = bench.token("acme", Bearer::hash).await;
    let tenant: TenantId = "acme".parse().expect("a name");
    assert_eq!(bench.code(&bearer, "").await, Ok(()));
    // As another host revokes it: nobody tells this one.
    let mut scope = bench.store.write(&tenant).await.expect("a scope");
    scope.revoke_token(bearer.id(), &Actor::host()).await.expect("revoked");
    scope.commit().await.expect("committed");
    assert_eq!(bench.code(&bearer, "").await, Ok(()), "it is remembered for some seconds");
    let confirmed = bench.access.confirm(&bearer.to_string(), "").await.map(drop).map_err(|error| error.code());
    assert_eq!(confirmed, Err(Code::Unauthenticated));
}

fn browser() -> Browser {
    Browser { address: "192.0.2.1".to_owned(), user_agent: "a\u{1b}b".repeat(200) }
}

#[tokio::test]
async fn a_session_is_no_token_and_ends_with_the_one_that_opened_it() {
    let bench = bench();
    let bearer = bench.token("acme", Bearer::hash).await;
    let opened = bench.access.open_session(&bearer.to_string(), &browser()).await.expect("opened");
    assert_eq!((opened.principal.name.as_str(), opened.session.user_agent.len()), (bearer.id(), 200));
    assert!(!opened.session.user_agent.contains('\u{1b}'));
    let code = async |cookie: &str| {
        bench.access.authenticate_session(cookie, "192.0.2.1").await.map(drop).map_err(|error| error.code())
    };
    assert_eq!(code(&opened.cookie).await, Ok(()));
    for wrong in ["", "x", "a_b", &*bearer.text(), &opened.cookie[1..], &opened.cookie[..opened.cookie.len() - 1]] {
        assert_eq!(code(wrong).await, Err(Code::Unauthenticated), "{wrong}");
    }
    let as_token = bench.access.authenticate(&credential_of(&opened.cookie), "192.0.2.1").await;
    assert_eq!(as_token.map(drop).map_err(|error| error.code()), Err(Code::Unauthenticated));
    let again = bench.access.open_session(&credential_of(&opened.cookie), &browser()).await;
    assert_eq!(again.map(drop).map_err(|error| error.code()), Err(Code::Unauthenticated));
    // As another host revokes the token: what streams ask sees it at once.
    let tenant: TenantId = "acme".parse().expect("a name");
    let mut scope = bench.store.write(&tenant).await.expect("a scope");
    scope.revoke_token(bearer.id(), &Actor::host()).await.expect("revoked");
    scope.commit().await.expect("committed");
    let confirmed = bench.access.confirm(&credential_of(&opened.cookie), "").await.map(drop);
    assert_eq!(confirmed.map_err(|error| error.code()), Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_browser_that_signs_in_learns_when_the_session_ends_and_not_its_token() {
    let bench = bench();
    let mut scope = bench.store.host_write().await.expect("a scope");
    scope.ensure_tenant(&TenantId::system()).await.expect("made");
    scope.commit().await.expect("committed");
    let operator = operator_token(bench.folder.path()).expect("the host's own token, which never expires");
    let opened = bench.access.open_session(&operator, &browser()).await.expect("opened");
    assert_eq!(opened.principal.expires_at, opened.session.used_at + millis(SESSION_IDLE));
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_after_its_time() {
    let bench = bench();
    let bearer = bench.token("acme", Bearer::hash).await;
    let opened = bench.access.open_session(&bearer.to_string(), &browser()).await.expect("opened");
    // Somebody writes meanwhile, and a request that is to be written down does not wait for it.
    let writing = bench.store.host_write().await.expect("a scope");
    let principal = bench.access.authenticate_session(&opened.cookie, "").await.expect("it is open");
    drop(writing);
    assert!(principal.expires_at <= opened.session.used_at + millis(SESSION_IDLE), "also while the store is away");
    // As it was looked up long ago, and used at another host since.
    let former = Principal { expires_at: now_ms() - 1, ..Principal::clone(&principal) };
    bench.access.valid.insert(key_of(&credential_of(&opened.cookie)), Arc::new(former));
    assert!(bench.access.authenticate_session(&opened.cookie, "").await.is_ok(), "the store knows better");
    // Sessions as they are after an hour without a request, and after twelve.
    for (id, used_at, expires_at) in [(1, now_ms() - millis(SESSION_IDLE), i64::MAX), (2, now_ms(), now_ms())] {
        let secret = Bearer::generate();
        let session =
            elias_api::ConsoleSession { id: secret.id().to_owned(), used_at, expires_at, ..opened.session.clone() };
        let source = format!(r#"{{"kind":"token","id":"{}"}}"#, bearer.id());
        let stored = elias_store::StoredSession { session, hash: secret.hash(), source };
        let mut scope = bench.store.write(&opened.session.tenant).await.expect("a scope");
        scope.insert_session(&stored, SESSIONS_MAX, &Actor::host()).await.expect("stored");
        scope.commit().await.expect("committed");
        let refused = bench.access.authenticate_session(&secret.text(), "").await.map(drop);
        assert_eq!(refused.map_err(|error| error.code()), Err(Code::Unauthenticated), "{id}");
    }
}

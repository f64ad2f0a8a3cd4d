//! Roles, users and organizations.

use super::*;
use crate::schema::MIGRATIONS;
use elias_api::{Actor, ConsoleSession, Role, RoleDefinition, User};

pub(super) async fn roles_have_revisions_and_are_bounded(TestStore { store, .. }: &TestStore) {
    let (a, host) = (create_tenant(store, "a").await, Actor::host());
    let role = |name: &str, policy: &str, before: Option<&RoleDefinition>| {
        next_role(name.parse().expect("a name"), Role::Viewer, policy.to_owned(), before, &host)
    };
    let mut scope = store.write(&a).await.expect("a scope");
    let first = role("mine", "one", None);
    scope.set_role(&first, None, &host).await.expect("made");
    assert_eq!(scope.set_role(&first, None, &host).await.expect_err("it is there").code(), Code::Stale);
    let second = role("mine", "two", Some(&first));
    scope.set_role(&second, Some(&first), &host).await.expect("changed");
    assert_eq!(scope.set_role(&second, Some(&first), &host).await.expect_err("it has changed").code(), Code::Stale);
    assert_eq!(scope.role(&second.name).await.expect("read"), Some(second.clone()));
    for number in 1..100 {
        scope.set_role(&role(&format!("r{number}"), "", None), None, &host).await.expect("within the bound");
    }
    scope.set_role(&role("mine", "three", Some(&second)), Some(&second), &host).await.expect("no more than before");
    let over = scope.set_role(&role("one-more", "", None), None, &host).await;
    assert_eq!(over.expect_err("one too many").code(), Code::QuotaExceeded);
    drop(scope);
    let mut scope = store.write(&create_tenant(store, "b").await).await.expect("a scope");
    assert_eq!(scope.role(&first.name).await.expect("read"), None, "another tenant's");
    assert_eq!(scope.delete_role(&first.name, &host).await.expect_err("none").code(), Code::NotFound);
}

#[tokio::test]
async fn tokens_of_before_there_were_records_get_theirs() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("old.sqlite").display());
    let pool = AnyPool::connect(&url).await.expect("a database");
    let at = MIGRATIONS.iter().position(|(name, _)| *name == "access").expect("it is there");
    for (_, text) in &MIGRATIONS[..at] {
        pool.execute(text.into_sql_str()).await.expect("the schema of before");
    }
    let tokens = "INSERT INTO tenants VALUES ('a', '{}', 1, 0, NULL);
        INSERT INTO tokens (tenant, id, name, hash, role, user_id, organization_id, created_at, created_by, \
        expires_at, revoked_at) VALUES
        ('a', '1', 'x', 'x', 'caller', 'ada', 'analysts', 1, 'x', 9, NULL), ('a', '2', 'x', 'x', 'caller', 'ada', \
        'analysts', 2, 'x', 9, NULL),
        ('a', '3', 'x', 'x', 'caller', 'two', 'analysts', 3, 'x', 9, NULL), ('a', '4', 'x', 'x', 'caller', 'two', \
        'buyers', 4, 'x', 9, NULL),
        ('a', '5', 'x', 'x', 'caller', 'gone', NULL, 5, 'x', 9, 6), ('a', '6', 'x', 'x', 'caller', 'free', NULL, 6, \
        'x', 9, NULL),
        ('a', '7', 'x', 'x', 'caller', '', '', 7, 'x', 9, NULL)";
    pool.execute(tokens.into_sql_str()).await.expect("tokens of before");
    pool.execute(MIGRATIONS[at].1.into_sql_str()).await.expect("the records");
    let ids = async |select: &'static str| {
        let rows = sqlx::query(select).fetch_all(&pool).await.expect("read");
        rows.iter().map(|row| row.get::<String, _>("id")).collect::<Vec<_>>()
    };
    assert_eq!(ids("SELECT id FROM organizations ORDER BY id").await, ["analysts", "buyers"]);
    // Of one user's two organizations neither is the right one.
    assert_eq!(ids("SELECT id FROM users ORDER BY id").await, ["ada", "free"]);
    let in_one = "SELECT id FROM users WHERE organization = 'analysts' AND created_at = 1";
    assert_eq!(ids(in_one).await, ["ada"]);
}

fn user(id: &str, organization: Option<&str>) -> User {
    User {
        id: id.into(),
        name: id.into(),
        email: None,
        organization: organization.map(str::to_owned),
        role: None,
        disabled_at: None,
        revision: 1,
        created_at: 0,
        created_by: "x".into(),
        deleted_at: None,
    }
}

pub(super) async fn users_are_a_tenants_and_bounded(TestStore { store, .. }: &TestStore) {
    let (a, host) = (create_tenant(store, "a").await, Actor::host());
    let mut scope = store.write(&a).await.expect("a scope");
    let nowhere = scope.insert_user(&user("lost", Some("nothing")), &host).await;
    assert!(nowhere.is_err(), "an organization that is not there");
    drop(scope);
    let mut scope = store.write(&a).await.expect("a scope");
    scope.insert_user(&user("ada", None), &host).await.expect("made");
    let next = User { revision: 2, disabled_at: Some(5), ..user("ada", None) };
    scope.update_user(&user("ada", None), &next, &host).await.expect("changed");
    assert_eq!(scope.update_user(&user("ada", None), &next, &host).await.expect_err("late").code(), Code::Stale);
    assert_eq!(scope.user("ada").await.expect("there"), next);
    scope.delete_user("ada", &host).await.expect("deleted");
    assert_eq!(scope.user("ada").await.expect_err("gone").code(), Code::NotFound);
    assert!(scope.any_user("ada").await.expect("read").is_some_and(|user| !user.is_in_force()));
    let fill = "INSERT INTO users (tenant, id, name, revision, created_at, created_by) \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
                SELECT $1, 'u' || i, 'x', 1, 0, 'x' FROM n";
    let query = scope.query(fill);
    scope.run(query).await.expect("as many as there may be");
    let over = scope.insert_user(&user("one-more", None), &host).await;
    assert_eq!(over.expect_err("one too many").code(), Code::QuotaExceeded);
    drop(scope);
    let b = create_tenant(store, "b").await;
    assert!(store.read(&b).await.expect("a scope").any_user("ada").await.expect("read").is_none(), "another tenant's");
}

pub(super) async fn sessions_are_a_tenants_and_end(TestStore { store, .. }: &TestStore) {
    let (a, b, host) = (create_tenant(store, "a").await, create_tenant(store, "b").await, Actor::host());
    let session = |tenant: &TenantId, principal: &str, id: u32| StoredSession {
        session: ConsoleSession {
            id: format!("s{id:04}"),
            tenant: tenant.clone(),
            principal: principal.to_owned(),
            address: "192.0.2.1".to_owned(),
            user_agent: "a browser".to_owned(),
            created_at: 1_000,
            used_at: 1_000,
            expires_at: 5_000,
        },
        hash: "a hash".to_owned(),
        source: "{}".to_owned(),
    };
    let mut scope = store.write(&a).await.expect("a scope");
    for id in 0..3 {
        let ended = scope.insert_session(&session(&a, "ada", id), 2, &host).await.expect("stored");
        assert_eq!(ended, u64::from(id == 2), "the oldest of three, where two may be");
    }
    let ended = scope.insert_session(&session(&a, "linus", 9), 1, &host).await.expect("stored");
    assert_eq!(ended + scope.insert_session(&session(&a, "linus", 8), 1, &host).await.expect("stored"), 1);
    scope.end_session("s0008", Some("linus"), &host).await.expect("the new one stays, of a host whose clock is late");
    scope.insert_session(&session(&a, "grace", 3), 2, &host).await.expect("stored");
    scope.commit().await.expect("committed");
    let mut scope = store.write(&b).await.expect("a scope");
    scope.insert_session(&session(&b, "ada", 4), 2, &host).await.expect("another tenant's is another's");
    assert_eq!(scope.end_session("s0001", None, &host).await.expect_err("not its own").code(), Code::NotFound);
    scope.commit().await.expect("committed");

    let mut scope = store.write(&a).await.expect("a scope");
    let ids = |sessions: Vec<ConsoleSession>| sessions.into_iter().map(|session| session.id).collect::<Vec<_>>();
    assert_eq!(ids(scope.sessions(None, "", 10).await.expect("read")), ["s0001", "s0002", "s0003"]);
    assert_eq!(ids(scope.sessions(Some("ada"), "s0001", 10).await.expect("read")), ["s0002"]);
    let refused = scope.end_session("s0003", Some("ada"), &host).await;
    assert_eq!(refused.expect_err("it is grace's").code(), Code::NotFound);
    scope.end_session("s0003", Some("grace"), &host).await.expect("her own");
    scope.commit().await.expect("committed");

    let mut scope = store.host_write().await.expect("a scope");
    assert!(scope.session("s0003").await.expect("read").is_none());
    scope.touch_session("s0001", 3_000).await.expect("written");
    scope.touch_session("s0001", 2_000).await.expect("an older one changes nothing");
    assert_eq!(scope.session("s0001").await.expect("read").expect("it is there").session.used_at, 3_000);
    assert_eq!(scope.prune_sessions(4_999, 1_000).await.expect("pruned"), 2, "two were not used since");
    assert_eq!(scope.prune_sessions(5_000, 0).await.expect("pruned"), 1, "and one has expired");
    scope.commit().await.expect("committed");

    let mut scope = store.write(&a).await.expect("a scope");
    let fill = "INSERT INTO sessions (tenant, id, principal, hash, source, address, user_agent, created_at, used_at, \
                expires_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
                SELECT $1, 'f' || i, 'p' || i, 'x', '{}', 'x', 'x', 0, 0, 0 FROM n";
    let query = scope.query(fill);
    scope.run(query).await.expect("all but one");
    scope.insert_session(&session(&a, "ada", 5), 2, &host).await.expect("as many as there may be");
    let over = scope.insert_session(&session(&a, "grace", 6), 2, &host).await;
    assert_eq!(over.expect_err("one too many").code(), Code::QuotaExceeded);
}

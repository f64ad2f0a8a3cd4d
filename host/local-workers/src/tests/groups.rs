//! Several workers behind one name.

use super::{World, config, eventually, key};
use crate::{CallErrorCode, WorkerCondition, WorkerFilter};
use serde_json::json;

#[tokio::test]
async fn messages_to_a_group_go_to_its_members_in_turn() {
    let world = World::configured(json!({ "group": [{ "name": "pool", "class": "A", "size": 3 }] })).await;
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(world.call("pool", "name", "").await);
    }
    assert_eq!(names, ["pool#1", "pool#2", "pool#3", "pool#1", "pool#2", "pool#3"]);
    // A message and a call of another worker are for a member, too.
    assert_eq!(world.workers.send(key("pool"), "4").await.expect("it goes well"), "message 4");
    assert_eq!(world.call("a", "ask", "pool name").await, "asked: pool#2");
    assert_eq!(world.call("pool#3", "name", "").await, "pool#3", "a member is a worker like others");
    let listed = world.workers.list().await.expect("it is read");
    assert!(listed.iter().all(|one| one.key.name != "pool"), "the group is no worker: {listed:?}");
}

#[tokio::test]
async fn a_key_leads_to_the_same_member_and_is_needed_where_the_group_says_so() {
    let groups = json!([
        { "name": "keyed", "class": "A", "size": 4, "balance": "key" },
        { "name": "pool", "class": "A", "size": 4 },
    ]);
    let world = World::configured(json!({ "group": groups })).await;
    for group in ["keyed", "pool"] {
        let mut members = std::collections::BTreeSet::new();
        for number in 0..40 {
            let name = format!("{group}/user/{number}");
            let member = world.call(&name, "name", "").await;
            assert!(member.starts_with(&format!("{group}#")), "{member}");
            assert_eq!(world.call(&name, "name", "").await, member);
            members.insert(member);
        }
        assert_eq!(members.len(), 4, "forty keys are spread over all: {members:?}");
    }
    for name in ["keyed", "keyed/"] {
        let (code, message) = world.fails(name, "name", "").await;
        assert_eq!(code, CallErrorCode::Invalid);
        assert!(message.contains("by key"), "{message}");
    }
    let (code, message) = world.fails("a", "ask", "keyed name").await;
    assert_eq!(code, CallErrorCode::Exception);
    assert!(message.contains("by key"), "a worker is told likewise: {message}");
}

#[tokio::test]
async fn a_member_with_less_to_do_gets_the_message() {
    let table = json!({ "group": [{ "name": "pool", "class": "A", "size": 2, "balance": "least-loaded" }] });
    let world = World::configured(table).await;
    let held = world.workers.call(key("pool#1"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    for _ in 0..8 {
        assert_eq!(world.call("pool", "name", "").await, "pool#2");
        world.until("pool#2", |one| one.condition == WorkerCondition::Idle).await;
    }
    world.fake.let_go();
    held.await.expect("it was held");
}

#[tokio::test]
async fn what_is_about_one_worker_names_a_member() {
    let world = World::configured(json!({ "group": [{ "name": "pool", "class": "A", "size": 2 }] })).await;
    let refused = world.workers.start_worker(key("pool")).await.expect_err("it is a group");
    assert_eq!(refused.code, CallErrorCode::Invalid);
    assert!(refused.message.contains("A/pool#1"), "{}", refused.message);
    world.workers.start_worker(key("pool#1")).await.expect("it is started");
    assert_eq!(world.workers.member(key("pool/a"), None).expect("a member").class, "A");
    assert_eq!(world.workers.member(key("other/a"), None), Ok(key("other/a")));
}

#[tokio::test]
async fn workers_are_listed_by_class_and_tag() {
    let world = World::configured(json!({ "tags": { "A": ["edge", "io"], "B": ["cold"] } })).await;
    for name in ["a", "b", "c"] {
        world.call(name, "add", "1").await;
    }
    let list = async |class: Option<&str>, tag: Option<&str>, after: Option<&str>, limit| {
        let filter = WorkerFilter { class: class.map(str::to_owned), tag: tag.map(str::to_owned), health: None };
        let listed = world.workers.list_matching(&filter, after.map(key), limit).await.expect("it is read");
        listed.into_iter().map(|one| one.key.name).collect::<Vec<_>>()
    };
    assert_eq!(list(None, Some("io"), None, 10).await, ["a", "b", "c"]);
    assert_eq!(list(Some("A"), Some("edge"), Some("a"), 1).await, ["b"]);
    assert_eq!(list(Some("A"), None, Some("c"), 10).await, [""; 0]);
    for (class, tag) in [(Some("B"), None), (None, Some("cold")), (Some("A"), Some("hot"))] {
        assert_eq!(list(class, tag, None, 10).await, [""; 0], "{class:?} {tag:?}");
    }
    let status = world.workers.status(&key("a")).await.expect("it is read").expect("it is there");
    assert_eq!(status.tags, ["edge", "io"]);
}

#[tokio::test]
async fn groups_that_are_configured_while_workers_run_get_their_messages() {
    let world = World::new().await;
    assert_eq!(world.call("pool", "name", "").await, "pool", "it is a worker like others");
    let pool = |size: u32| config(json!({ "group": [{ "name": "pool", "class": "A", "size": size }] }));
    world.workers.configure_registry(&pool(1));
    for _ in 0..2 {
        assert_eq!(world.call("pool", "name", "").await, "pool#1");
    }
    world.workers.configure_registry(&pool(2));
    assert_eq!([world.call("pool", "name", "").await, world.call("pool", "name", "").await], ["pool#1", "pool#2"]);
    // What does not change leaves the turns of members as they are.
    world.call("pool", "name", "").await;
    world.workers.configure_registry(&pool(2));
    assert_eq!(world.call("pool", "name", "").await, "pool#2");
    world.workers.configure_registry(&config(json!({})));
    assert_eq!(world.call("pool", "name", "").await, "pool");
}

//! What is told of workers that are started, stopped and moved.

use super::{World, eventually, key};
use crate::{CallErrorCode, OtherVersion, WorkerLifecycle};
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;

/// Workers that are moved to other versions, and what is told of them.
async fn told() -> (World, Arc<Mutex<Vec<(String, WorkerLifecycle)>>>) {
    let changes = Arc::<Mutex<Vec<(String, WorkerLifecycle)>>>::default();
    let told = Arc::clone(&changes);
    let world = World::with(|builder| {
        let builder = builder.other_version(OtherVersion::Upgrade);
        builder.on_lifecycle(move |key, change| told.lock().push((key.name.clone(), change)))
    });
    (world.await, changes)
}

#[tokio::test]
async fn a_worker_that_is_started_moved_and_stopped_is_told_of_once() {
    let (world, changes) = told().await;
    for _ in 0..2 {
        world.call("a", "add", "1").await;
    }
    world.fake.set_former(true, false);
    world.fake.set_version(2);
    world.workers.reload();
    assert_eq!(world.call("a", "version", "").await, "2 1 to 2");
    assert_eq!(world.workers.stop_worker(&key("a"), Value::Null).await, Ok(true));
    assert_eq!(world.workers.stop_worker(&key("a"), Value::Null).await, Ok(false));
    let upgraded = WorkerLifecycle::Upgraded { from: "1".to_owned(), to: "2".to_owned() };
    let wanted = [WorkerLifecycle::Started, upgraded, WorkerLifecycle::Stopped].map(|change| ("a".to_owned(), change));
    eventually(async || changes.lock().len() == wanted.len()).await;
    assert_eq!(*changes.lock(), wanted);
}

#[tokio::test]
async fn nothing_is_told_of_a_worker_that_does_not_start() {
    let (world, changes) = told().await;
    world.fake.set_refuses_start(true);
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::Exception);
    assert_eq!(world.workers.stop_worker(&key("a"), Value::Null).await, Ok(false));
    assert!(changes.lock().is_empty());
}

//! Messages that are sent again with the same id until somebody is told that they were handled.

use super::*;
use crate::Cause;
use crate::message::UNDEFINED;

impl World {
    /// Sends a message that may come again; gives the answer, or the code of the error.
    pub(super) fn once(
        &self,
        id: &str,
        method: &str,
        args: &str,
    ) -> impl Future<Output = Result<String, CallErrorCode>> + use<> {
        let (id, method, args) = (id.to_owned(), Some(method.to_owned()), args.to_owned());
        let answer = self.workers.call_once(id, key("a"), method, args, Cause::default());
        async move { answer.await.map_err(|error| error.code) }
    }
}

#[tokio::test]
async fn a_message_that_comes_again_is_handled_once() {
    let (store, fake) = (Arc::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    assert_eq!(world.once("1", "add", "2").await.as_deref(), Ok("2"));
    assert_eq!(world.once("1", "add", "2").await.as_deref(), Ok(UNDEFINED));
    assert_eq!(world.once("2", "add", "2").await.as_deref(), Ok("4"), "another message");
    // One that is sent again while the first is still in the mailbox.
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let both = [world.once("3", "add", "1"), world.once("3", "add", "1")];
    world.fake.let_go();
    held.await.expect("it was held");
    let answers: Vec<_> = futures::future::join_all(both).await;
    assert_eq!(answers, [Ok("6".to_owned()), Ok(UNDEFINED.to_owned())]);
    drop(world);
    let world = World::on(store, fake, |builder| builder).await;
    assert_eq!(world.once("1", "add", "2").await.as_deref(), Ok(UNDEFINED), "it is kept with the worker");
    assert_eq!(world.call("a", "get", "").await, "6");
}

#[tokio::test]
async fn a_message_whose_handler_threw_is_handled_anew() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.once("1", "throw", "no").await, Err(CallErrorCode::Exception));
    }
    assert_eq!(world.once("1", "ask", "b throw no").await, Err(CallErrorCode::Exception), "also after it waited");
    assert_eq!(world.once("1", "add", "1").await.as_deref(), Ok("1"));
    assert_eq!(world.once("1", "add", "1").await.as_deref(), Ok(UNDEFINED));
}

#[tokio::test]
async fn a_message_that_comes_again_waits_for_the_handler_that_waits() {
    let (store, fake) = (Arc::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    let first = world.once("1", "ask", "b hold");
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    eventually(async || world.fake.is_holding()).await;
    // The process ends before the handler does, and the sender is told nothing.
    drop(world);
    assert_eq!(first.await, Err(CallErrorCode::Unavailable));
    let world = World::on(store, fake, |builder| builder).await;
    let again = world.once("1", "ask", "b hold");
    world.fake.let_go();
    assert_eq!(again.await.as_deref(), Ok(UNDEFINED));
    assert_eq!(world.call("a", "get", "").await, "1000", "its handler ran once");
}

#[tokio::test]
async fn an_id_has_a_bound() {
    let world = World::new().await;
    assert_eq!(world.once(&"x".repeat(64), "add", "1").await.as_deref(), Ok("1"));
    assert_eq!(world.once(&"x".repeat(65), "add", "1").await, Err(CallErrorCode::Invalid));
    assert_eq!(world.call("a", "get", "").await, "1");
}

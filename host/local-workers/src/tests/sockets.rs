//! Sockets that end in workers.

use super::fake::{Fake, merge};
use super::{NOW, eventually, key};
use crate::{
    CallErrorCode, Cause, LocalWorkers, LocalWorkersBuilder, ManualClock, MemoryStore, OtherVersion, RunningWorkers,
    SocketClose, SocketConnection, SocketFrame, SocketLimits, WorkerCondition,
};
use elias_host::{SocketContent, SocketKind, SocketRequest};
use std::sync::Arc;
use std::time::Duration;

/// Workers of the fake component with a store that another process would have as well.
struct Sockets {
    fake: Arc<Fake>,
    clock: ManualClock,
    store: MemoryStore,
    workers: RunningWorkers,
}

impl Sockets {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(extend: impl FnOnce(LocalWorkersBuilder) -> LocalWorkersBuilder) -> Self {
        Self::on(MemoryStore::with_merge(merge), Fake::new(), extend).await
    }

    async fn on(
        store: MemoryStore,
        fake: Arc<Fake>,
        extend: impl FnOnce(LocalWorkersBuilder) -> LocalWorkersBuilder,
    ) -> Self {
        let clock = ManualClock::new(NOW);
        let builder = LocalWorkers::builder().clock(clock.clock()).store(Arc::new(store.clone()));
        let workers = extend(builder).build().start(fake.source()).await.expect("the store is read");
        Self { fake, clock, store, workers }
    }

    async fn open(&self, name: &str) -> SocketConnection {
        let mut socket = self.workers.open_socket(key(name), request("/"), Cause::default()).await.expect("it is open");
        assert_eq!(text(&mut socket).await, "welcome");
        socket
    }

    async fn call(&self, name: &str, method: &str) -> String {
        self.workers.call(key(name), method, "").await.expect("it goes well")
    }
}

fn request(url: &str) -> SocketRequest {
    SocketRequest { url: url.to_owned(), headers: Vec::new(), protocol: String::new(), kind: SocketKind::default() }
}

fn send(socket: &mut SocketConnection, message: &str) {
    socket.message(SocketContent::Text(message.to_owned()));
}

/// The text that the client gets next.
async fn text(socket: &mut SocketConnection) -> String {
    match next(socket).await {
        Some(SocketFrame::Text(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

/// The code with which the client is closed next.
async fn close_code(socket: &mut SocketConnection) -> u16 {
    match next(socket).await {
        Some(SocketFrame::Close(SocketClose { code, .. })) => code,
        other => panic!("no close: {other:?}"),
    }
}

async fn next(socket: &mut SocketConnection) -> Option<SocketFrame> {
    tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("there is something within a minute")
}

#[tokio::test]
async fn messages_are_turns_in_order_and_what_is_sent_leaves_with_the_commit() {
    let world = Sockets::new().await;
    let (mut one, mut two) = (world.open("a").await, world.open("a").await);
    assert_ne!(one.id(), two.id());
    for number in 1..=20 {
        send(&mut one, &format!("add {number}"));
    }
    send(&mut one, "all done");
    let mut sum = 0;
    for number in 1..=20 {
        sum += number;
        assert_eq!(text(&mut one).await, sum.to_string());
    }
    assert_eq!((text(&mut one).await, text(&mut two).await), ("done".to_owned(), "done".to_owned()));
    one.message(SocketContent::Bytes("AQID".to_owned()));
    assert_eq!(next(&mut one).await, Some(SocketFrame::Bytes(vec![1, 2, 3])));
    assert_eq!((world.call("a", "sockets").await.as_str(), world.workers.sockets(&key("a"))), ("2", 2));
    two.closed(1000, "").await;
    assert_eq!((world.call("a", "sockets").await.as_str(), world.fake.closed()), ("1", vec![1000]));
    drop(one);
    eventually(async || world.call("a", "sockets").await == "0").await;
    assert_eq!((world.fake.closed(), world.workers.sockets(&key("a"))), (vec![1000, 1006], 0));
}

#[tokio::test]
async fn a_worker_closes_a_socket_and_is_not_told_so() {
    let world = Sockets::new().await;
    let mut socket = world.open("a").await;
    send(&mut socket, "close");
    // It comes too late, and is nobody's.
    send(&mut socket, "add 1");
    assert_eq!(close_code(&mut socket).await, 3000);
    assert_eq!(next(&mut socket).await, None);
    socket.closed(3000, "bye").await;
    assert_eq!((world.call("a", "sockets").await, world.call("a", "get").await), ("0".to_owned(), "0".to_owned()));
    assert!(world.fake.closed().is_empty());
}

#[tokio::test]
async fn a_socket_that_is_refused_is_none() {
    let world = Sockets::new().await;
    let refused = world.workers.open_socket(key("a"), request("/refused"), Cause::default()).await.err();
    let refused = refused.expect("it is refused");
    assert_eq!((refused.code, refused.message.as_str()), (CallErrorCode::Exception, "it is not let in"));
    assert_eq!((world.call("a", "sockets").await.as_str(), world.workers.sockets(&key("a"))), ("0", 0));
    assert!(world.fake.closed().is_empty());
    let other = crate::WorkerKey::new("B", "a");
    let missing = world.workers.open_socket(other, request("/"), Cause::default()).await.err().expect("no such class");
    assert_eq!(missing.code, CallErrorCode::NotFound);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_socket_is_opened_is_closed() {
    let world = Sockets::new().await;
    let holding = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let mut opening = Box::pin(world.workers.open_socket(key("a"), request("/"), Cause::default()));
    assert!(futures::poll!(&mut opening).is_pending());
    drop(opening);
    world.fake.let_go();
    assert_eq!(holding.await.expect("it goes well"), "held");
    eventually(async || world.fake.closed() == [1006]).await;
    assert_eq!(world.call("a", "sockets").await, "0");
}

#[tokio::test]
async fn a_message_that_fails_closes_its_socket_and_the_worker_is_as_it_was() {
    let world = Sockets::new().await;
    let (mut socket, mut other) = (world.open("a").await, world.open("a").await);
    send(&mut socket, "throw no");
    assert_eq!(close_code(&mut socket).await, 1011);
    socket.closed(1011, "").await;
    send(&mut other, "sockets");
    assert_eq!(text(&mut other).await, "1");
    assert_eq!(world.fake.closed(), [1011]);
}

#[tokio::test]
async fn sockets_of_a_worker_are_bounded() {
    let world = Sockets::with(|builder| builder.sockets(SocketLimits { sockets: 2, ..SocketLimits::default() })).await;
    let (one, _two) = (world.open("a").await, world.open("a").await);
    let refused = world.workers.open_socket(key("a"), request("/"), Cause::default()).await.err().expect("too many");
    assert_eq!(refused.code, CallErrorCode::MailboxFull);
    drop(world.open("b").await);
    one.closed(1000, "").await;
    drop(world.open("a").await);
}

#[tokio::test]
async fn messages_of_a_client_are_bounded_by_bytes() {
    let limits = SocketLimits { message_bytes: 6, ..SocketLimits::default() };
    let world = Sockets::with(|builder| builder.sockets(limits)).await;
    let mut socket = world.open("a").await;
    socket.message(SocketContent::Bytes("AQIDBAUG".to_owned()));
    assert_eq!(next(&mut socket).await, Some(SocketFrame::Bytes(vec![1, 2, 3, 4, 5, 6])));
    socket.message(SocketContent::Bytes("AQIDBAUGBw==".to_owned()));
    assert_eq!(close_code(&mut socket).await, 1009);
    let mut socket = world.open("a").await;
    send(&mut socket, "add 100");
    assert_eq!(close_code(&mut socket).await, 1009);
}

#[tokio::test]
async fn messages_of_a_client_wait_for_the_worker_within_a_bound() {
    let limits = SocketLimits { unanswered: 3, ..SocketLimits::default() };
    let world = Sockets::with(|builder| builder.sockets(limits)).await;
    let mut socket = world.open("a").await;
    send(&mut socket, "hold");
    eventually(async || world.fake.is_holding()).await;
    for _ in 0..2 {
        assert!(socket.takes_message());
        send(&mut socket, "add 1");
    }
    assert!(!socket.takes_message());
    world.fake.let_go();
    for answer in ["held", "2", "3"] {
        assert_eq!(text(&mut socket).await, answer);
    }
    // The answers of the turns are taken while the next message to the client is waited for.
    send(&mut socket, "get");
    assert_eq!(text(&mut socket).await, "3");
    assert!(socket.takes_message());
}

#[tokio::test]
async fn a_mailbox_that_is_full_closes_the_socket() {
    let mailbox = crate::MailboxLimits { messages: 1, ..crate::MailboxLimits::default() };
    let world = Sockets::with(|builder| builder.mailbox(mailbox)).await;
    let mut socket = world.open("a").await;
    send(&mut socket, "hold");
    eventually(async || world.fake.is_holding()).await;
    send(&mut socket, "add 1");
    send(&mut socket, "add 1");
    assert_eq!(close_code(&mut socket).await, 1013);
    world.fake.let_go();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_the_worker_is_told() {
    let limits = SocketLimits { waiting_messages: 3, ..SocketLimits::default() };
    let world = Sockets::with(|builder| builder.sockets(limits)).await;
    let (mut slow, mut other) = (world.open("a").await, world.open("a").await);
    for number in 0..5 {
        send(&mut other, &format!("all {number}"));
        assert_eq!(text(&mut other).await, number.to_string());
    }
    assert_eq!(close_code(&mut slow).await, 1013);
    slow.closed(1013, "").await;
    assert_eq!((world.call("a", "sockets").await.as_str(), world.fake.closed()), ("1", vec![1013]));
}

#[tokio::test]
async fn sockets_stay_open_while_the_worker_is_out_of_memory() {
    let world = Sockets::new().await;
    let mut socket = world.open("a").await;
    send(&mut socket, "add 1");
    assert_eq!(text(&mut socket).await, "1");
    let is = async |condition: WorkerCondition| {
        let status = world.workers.status(&key("a")).await.expect("it is read").expect("it is there");
        status.condition == condition
    };
    eventually(async || is(WorkerCondition::Idle).await).await;
    world.clock.advance(Duration::from_secs(120));
    eventually(async || is(WorkerCondition::Asleep).await && world.fake.awake() == 0).await;
    send(&mut socket, "add 1");
    assert_eq!(text(&mut socket).await, "2");
    // Also where another needs its place.
    world.workers.hibernate(&key("a"));
    eventually(async || world.fake.awake() == 0).await;
    send(&mut socket, "add 1");
    assert_eq!(text(&mut socket).await, "3");
    assert!(world.fake.closed().is_empty());
}

#[tokio::test]
async fn sockets_stay_open_when_the_worker_is_moved_to_another_version() {
    let world = Sockets::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    let mut socket = world.open("a").await;
    send(&mut socket, "add 4");
    assert_eq!(text(&mut socket).await, "4");
    world.fake.set_former(true, false);
    world.fake.set_version(2);
    world.workers.reload();
    send(&mut socket, "version");
    assert_eq!(text(&mut socket).await, "2 1 to 2");
    send(&mut socket, "all here");
    assert_eq!(text(&mut socket).await, "here");
    assert!(world.fake.closed().is_empty());
}

#[tokio::test]
async fn a_process_that_starts_anew_tells_its_workers_that_their_sockets_are_gone() {
    let world = Sockets::new().await;
    let (_one, _two) = (world.open("a").await, world.open("a").await);
    assert_eq!(world.call("a", "sockets").await, "2");
    let Sockets { fake, store, workers, .. } = world;
    let before = fake.turns();
    // As if the process had been killed.
    drop(workers);
    let world = Sockets::on(store, fake, |builder| builder).await;
    // Without a message, and before one.
    eventually(async || world.fake.closed() == [1006, 1006]).await;
    assert_eq!(world.call("a", "sockets").await, "0");
    assert_eq!(world.fake.turns(), before + 3);
}

#[tokio::test]
async fn a_worker_that_is_stopped_or_given_up_closes_its_sockets() {
    let world = Sockets::new().await;
    let mut socket = world.open("a").await;
    assert!(world.workers.stop_worker(&key("a"), "over".into()).await.expect("it is stopped"));
    assert_eq!(close_code(&mut socket).await, 1001);
    socket.closed(1001, "").await;
    assert!(world.workers.status(&key("a")).await.expect("it is read").is_none(), "it is not started for a close");

    let mut socket = world.open("b").await;
    world.workers.give_up(&key("b"));
    assert_eq!(close_code(&mut socket).await, 1012);
    socket.closed(1012, "").await;
    assert_eq!(world.call("b", "sockets").await, "0");
    assert_eq!(world.fake.closed(), [1006], "whoever reads it next tells it");

    let mut socket = world.open("c").await;
    assert_eq!(world.workers.stop(Duration::from_secs(10)).await, 0);
    assert_eq!(close_code(&mut socket).await, 1001);
}

#[tokio::test]
async fn a_handler_that_is_undone_gives_back_no_socket() {
    let world = Sockets::new().await;
    let mut socket = world.open("a").await;
    // It closes the socket, which leaves with the commit, and fails when it has its answer.
    send(&mut socket, "ask-and-close b throw no");
    assert_eq!(close_code(&mut socket).await, 3000);
    eventually(async || world.fake.closed() == [1006]).await;
    assert_eq!(world.call("a", "sockets").await, "0");
}

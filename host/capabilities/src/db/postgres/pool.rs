//! The pool of connections: a component has at most as many as its grant says, all components of a server together at
//! most as many as the operator says, and idle connections are closed for components that need one.
//!
//! The pools that exist (deadpool, bb8) bound a component's connections and know nothing of the others': a thousand
//! components, each within its own bound, would still be more than a server takes.

use super::connect::Session;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Connections to the servers that components use, by address.
#[derive(Debug)]
pub(in crate::db) struct Servers {
    most: u32,
    servers: Mutex<HashMap<String, Weak<Server>>>,
}

impl Servers {
    /// At most `most` connections to each server.
    pub(in crate::db) fn new(most: u32) -> Self {
        Self { most, servers: Mutex::default() }
    }

    /// The connections that somebody uses, in percent of the maximum, of the server with the most; `None` without
    /// servers.
    pub(in crate::db) fn used_percent(&self) -> Option<f64> {
        let servers: Vec<_> = self.servers.lock().values().filter_map(Weak::upgrade).collect();
        let used = servers.iter().map(|server| server.state.lock().used).max()?;
        Some(100.0 * f64::from(used) / f64::from(self.most.max(1)))
    }

    /// The server at this address.
    pub(super) fn server(&self, address: &str) -> Arc<Server> {
        let mut servers = self.servers.lock();
        if let Some(server) = servers.get(address).and_then(Weak::upgrade) {
            return server;
        }
        servers.retain(|_, server| server.strong_count() > 0);
        let server = Server::new(self.most, IDLE);
        servers.insert(address.to_owned(), Arc::downgrade(&server));
        server
    }
}

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Server {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that are open or about to be.
    open: u32,
    /// Those of them that somebody uses.
    used: u32,
    members: HashMap<u64, Member>,
    /// The components that wait and have not all of their share, by who is next. However many queries of a component
    /// wait, it is one entry, so that who has many of them makes nobody's turn dearer.
    queue: BTreeSet<QueueKey>,
    next_member: u64,
    next_ticket: u64,
}

/// The connections that a component uses, the ticket of its first waiter, and its number.
type QueueKey = (u32, u64, u64);

#[derive(Debug)]
struct Member {
    most: u32,
    used: u32,
    /// The last one is the one used last.
    idle: Vec<(Session, Instant)>,
    /// The waiters by their tickets, which grow.
    waiting: BTreeMap<u64, oneshot::Sender<Grant>>,
}

impl Member {
    fn queue_key(&self, member: u64) -> Option<QueueKey> {
        let (ticket, _) = self.waiting.first_key_value()?;
        (self.used < self.most).then_some((self.used, *ticket, member))
    }
}

/// A place in the queue, which is given up when it is dropped.
struct QueuePlace<'a> {
    share: &'a Share,
    ticket: u64,
}

/// A component's share of a server's connections. Dropping it closes its idle connections.
#[derive(Debug)]
pub(super) struct Share {
    server: Arc<Server>,
    member: u64,
}

/// The right to one connection, with the connection if there is one already.
#[derive(Debug)]
pub(super) struct Grant {
    server: Arc<Server>,
    member: u64,
    pub(super) session: Option<Session>,
}

impl Server {
    fn new(most: u32, idle: Duration) -> Arc<Self> {
        let server = Arc::new(Self { most: most.max(1), state: Mutex::default() });
        let weak = Arc::downgrade(&server);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(idle / 4).await;
                let Some(server) = weak.upgrade() else { return };
                server.close_idle(idle);
            }
        });
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A component's share: `most` connections, if the server has them.
    pub(super) fn share(self: &Arc<Self>, most: u32) -> Share {
        let mut state = self.state();
        let member = state.next_member;
        state.next_member += 1;
        state.members.insert(member, Member { most, used: 0, idle: Vec::new(), waiting: BTreeMap::new() });
        drop(state);
        Share { server: Arc::clone(self), member }
    }

    fn close_idle(&self, idle: Duration) {
        let mut state = self.state();
        let mut closed = Vec::new();
        for member in state.members.values_mut() {
            closed
                .extend(member.idle.extract_if(.., |(session, since)| since.elapsed() >= idle || session.is_closed()));
        }
        state.open -= u32::try_from(closed.len()).unwrap_or(0);
        drop(state);
    }

    /// Gives connections to those who wait: to who uses the fewest first, and among them to who has waited longest.
    fn serve(self: &Arc<Self>) {
        let mut closed = Vec::new();
        let mut refused = Vec::new();
        let mut state = self.state();
        while let Some((member, waiter)) = state.next_waiter(self.most) {
            let session = state.take(self.most, member, &mut closed);
            let grant = Grant { server: Arc::clone(self), member, session };
            refused.extend(waiter.send(grant).err());
        }
        drop(state);
        // Each gives itself back, and serves the next.
        drop(refused);
    }

    fn give_back(self: &Arc<Self>, member: u64, session: Option<Session>) {
        let session = session.filter(|session| !session.is_closed());
        let mut state = self.state();
        state.used -= 1;
        let is_kept = state.change(member, |member| {
            let is_kept = session.is_some();
            member.used -= 1;
            member.idle.extend(session.map(|session| (session, Instant::now())));
            is_kept
        });
        // Of a component that is gone none is kept.
        if is_kept != Some(true) {
            state.open -= 1;
        }
        drop(state);
        self.serve();
    }
}

impl State {
    /// Changes a component's part, and its place in the queue with it. `None` if the component is gone.
    fn change<T>(&mut self, id: u64, change: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let member = self.members.get_mut(&id)?;
        if let Some(key) = member.queue_key(id) {
            self.queue.remove(&key);
        }
        let changed = change(member);
        if let Some(key) = member.queue_key(id) {
            self.queue.insert(key);
        }
        Some(changed)
    }

    /// Takes who is next out of the queue, if there may be one connection more. The last quarter is for those who use
    /// none: so a few that use all they may do not keep the rest from their first.
    fn next_waiter(&mut self, most: u32) -> Option<(u64, oneshot::Sender<Grant>)> {
        let (used, _, member) = *self.queue.first()?;
        let free = most - self.used;
        // Nobody in the queue uses fewer.
        if free == 0 || (used > 0 && free <= most / 4) {
            return None;
        }
        let (_, waiter) = self.change(member, |member| member.waiting.pop_first())??;
        Some((member, waiter))
    }

    /// Takes an idle connection of the component's own, or the right to open one, for which another's may be closed.
    fn take(&mut self, most: u32, member: u64, closed: &mut Vec<Session>) -> Option<Session> {
        self.used += 1;
        let mut gone = 0;
        let own = self.change(member, |own| {
            own.used += 1;
            while let Some((session, _)) = own.idle.pop() {
                if !session.is_closed() {
                    return Some(session);
                }
                gone += 1;
                closed.push(session);
            }
            None
        });
        self.open -= gone;
        if let Some(Some(session)) = own {
            return Some(session);
        }
        if self.open < most {
            self.open += 1;
            return None;
        }
        // All are open, and not all are used: one of them is idle.
        let longest = self.members.values_mut().filter(|member| !member.idle.is_empty()).min_by_key(|m| m.idle[0].1);
        closed.extend(longest.map(|member| member.idle.remove(0).0));
        None
    }
}

impl Share {
    /// Waits for a connection, or for the right to open one.
    pub(super) async fn acquire(&self) -> Grant {
        let (waiter, granted) = oneshot::channel();
        let _place = self.enqueue(waiter);
        self.server.serve();
        match granted.await {
            Ok(grant) => grant,
            // A waiter is dropped when its grant was taken up, or when nobody waits.
            Err(_) => std::future::pending().await,
        }
    }

    fn enqueue(&self, waiter: oneshot::Sender<Grant>) -> QueuePlace<'_> {
        let mut state = self.server.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.change(self.member, |member| member.waiting.insert(ticket, waiter));
        QueuePlace { share: self, ticket }
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.share.server.state().change(self.share.member, |member| member.waiting.remove(&self.ticket));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.server.state();
        let own = state.members.remove(&self.member);
        state.open -= own.as_ref().map_or(0, |own| u32::try_from(own.idle.len()).unwrap_or(0));
        drop(state);
        self.server.serve();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let session = self.session.take();
        self.server.give_back(self.member, session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn server(most: u32) -> Arc<Server> {
        Server::new(most, IDLE)
    }

    fn now(share: &Share) -> Option<Grant> {
        share.acquire().now_or_never()
    }

    #[tokio::test]
    async fn nobody_has_more_than_its_share_and_all_not_more_than_the_server() {
        let server = server(8);
        let (one, other) = (server.share(3), server.share(100));
        let held: Vec<_> = (0..3).map(|_| now(&one).expect("it is within its share")).collect();
        assert!(now(&one).is_none());
        // The last quarter is for those who have none.
        let rest: Vec<_> = std::iter::from_fn(|| now(&other)).collect();
        assert_eq!(rest.len(), 3);
        let latecomers = [server.share(4), server.share(4), server.share(4)];
        let late: Vec<_> = latecomers.iter().filter_map(now).collect();
        assert_eq!(late.len(), 2);
        assert_eq!(server.state().used, 8);
        drop(held);
        assert!(now(&latecomers[2]).is_some());
    }

    #[tokio::test]
    async fn who_uses_fewest_is_next_and_who_left_is_passed_over() {
        let server = server(2);
        let (one, other) = (server.share(2), server.share(2));
        let (first, second) = (now(&one).expect("free"), now(&one).expect("free"));
        let mut own = Box::pin(one.acquire());
        assert!(own.as_mut().now_or_never().is_none());
        let mut gone = Box::pin(other.acquire());
        assert!(gone.as_mut().now_or_never().is_none());
        let mut waits = Box::pin(other.acquire());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        let granted = waits.now_or_never().expect("it is next");
        assert!(own.as_mut().now_or_never().is_none());
        drop((granted, second));
        assert!(own.now_or_never().is_some());
        assert_eq!(server.state().used, 0);
        assert_eq!(server.state().open, 0);
    }

    #[tokio::test]
    async fn a_thousand_components_share_a_hundred_connections() {
        let server = server(100);
        let shares: Vec<_> = (0..1_000).map(|_| server.share(8)).collect();
        // Each wants four at once; all are served, and never are there more than a hundred.
        let uses = shares.iter().flat_map(|share| (0..4).map(move |_| share)).map(async |share| {
            let grant = share.acquire().await;
            let (used, open) = {
                let state = server.state();
                (state.used, state.open)
            };
            assert!(used <= 100 && open <= 100, "{used} are used, {open} are open");
            tokio::task::yield_now().await;
            drop(grant);
        });
        futures::future::join_all(uses).await;
        let state = server.state();
        assert_eq!((state.used, state.open, state.queue.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn however_many_queries_of_one_component_wait_it_is_one_in_the_queue() {
        let server = server(4);
        let (crowd, other) = (server.share(100), server.share(2));
        let held: Vec<_> = std::iter::from_fn(|| now(&crowd)).collect();
        assert_eq!(held.len(), 3, "the last is for who has none");
        let mut waiting: Vec<_> = (0..10_000).map(|_| Box::pin(crowd.acquire())).collect();
        assert!(waiting.iter_mut().all(|waits| waits.as_mut().now_or_never().is_none()));
        assert_eq!(server.state().queue.len(), 1);
        let others = now(&other).expect("it uses none");
        assert!(now(&other).is_none());
        // The first of them is next, and who has left is not asked.
        drop(waiting.remove(0));
        drop(others);
        assert!(waiting[0].as_mut().now_or_never().is_none(), "the last is still for who has none");
        drop(held);
        assert!(waiting[0].as_mut().now_or_never().is_some());
        drop(waiting);
        let state = server.state();
        assert_eq!((state.used, state.queue.len()), (0, 0));
        assert!(state.members.values().all(|member| member.waiting.is_empty()));
    }

    #[tokio::test]
    async fn a_share_that_is_dropped_leaves_nothing() {
        let server = server(2);
        let share = server.share(2);
        let held = now(&share).expect("free");
        drop(share);
        drop(held);
        let state = server.state();
        assert_eq!((state.used, state.open), (0, 0));
    }
}

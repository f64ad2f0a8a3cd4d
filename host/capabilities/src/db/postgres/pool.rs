//! Connections, shared out: a component has at most what its grant says, all components of a server together at most
//! what the operator says, and idle connections are closed for those who need one.
//!
//! The pools that exist (deadpool, bb8) bound a component's connections and know nothing of the others': a thousand
//! components, each within its own bound, would still be more than a server takes.

use super::connect::Session;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
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
    /// The waiting components, the longest waiting first.
    waiting: VecDeque<Waiter>,
    next_member: u64,
}

#[derive(Debug)]
struct Member {
    most: u32,
    used: u32,
    /// The last one is the one used last.
    idle: Vec<(Session, Instant)>,
}

#[derive(Debug)]
struct Waiter {
    member: u64,
    grant: oneshot::Sender<Grant>,
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
        state.members.insert(member, Member { most, used: 0, idle: Vec::new() });
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
        state.waiting.retain(|waiter| !waiter.grant.is_closed());
        loop {
            let used =
                |state: &State, waiter: &Waiter| state.members.get(&waiter.member).map_or(0, |member| member.used);
            let next = (0..state.waiting.len())
                .filter(|at| state.may_have(self.most, state.waiting[*at].member))
                .min_by_key(|at| (used(&state, &state.waiting[*at]), *at));
            let Some(waiter) = next.and_then(|at| state.waiting.remove(at)) else { break };
            let session = state.take(self.most, waiter.member, &mut closed);
            let grant = Grant { server: Arc::clone(self), member: waiter.member, session };
            if let Err(grant) = waiter.grant.send(grant) {
                refused.push(grant);
                break;
            }
        }
        drop(state);
        // Each gives itself back, and serves the next.
        drop(refused);
    }

    fn give_back(self: &Arc<Self>, member: u64, session: Option<Session>) {
        let mut state = self.state();
        state.used -= 1;
        let place = state.members.get_mut(&member);
        if let Some(place) = place {
            place.used -= 1;
            match session.filter(|session| !session.is_closed()) {
                Some(session) => place.idle.push((session, Instant::now())),
                None => state.open -= 1,
            }
        } else {
            state.open -= 1;
        }
        drop(state);
        self.serve();
    }
}

impl State {
    /// Whether a component may use one more connection now. The last quarter is for those who use none: so a few that
    /// use all they may do not keep the rest from their first.
    fn may_have(&self, most: u32, member: u64) -> bool {
        let Some(member) = self.members.get(&member) else { return false };
        let free = most - self.used;
        member.used < member.most && free > 0 && (member.used == 0 || free > most / 4)
    }

    /// Takes an idle connection of the component's own, or the right to open one, for which another's may be closed.
    fn take(&mut self, most: u32, member: u64, closed: &mut Vec<Session>) -> Option<Session> {
        self.used += 1;
        let own = self.members.get_mut(&member)?;
        own.used += 1;
        while let Some((session, _)) = own.idle.pop() {
            if !session.is_closed() {
                return Some(session);
            }
            self.open -= 1;
            closed.push(session);
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
        let (grant, granted) = oneshot::channel();
        self.server.state().waiting.push_back(Waiter { member: self.member, grant });
        self.server.serve();
        match granted.await {
            Ok(grant) => grant,
            // A waiter is dropped when its grant was taken up, or when nobody waits.
            Err(_) => std::future::pending().await,
        }
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

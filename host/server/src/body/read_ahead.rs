//! Reads a component's response ahead of its client.
//!
//! hyper asks a body for more only when the client has read what it was given. Were the guest asked only then, a slow
//! client would keep it, its memory and its permit for as long as it likes. So a response that is still being written
//! is read by a task of its own, up to a bound: the guest ends when it has written all, and what is left are some
//! bytes. A guest that has more to write than that bound waits, and is *stalled* meanwhile; see [`StalledExecutions`]
//! for what becomes of it.
//!
//! Where the response says its length, HTTP/1.1 is done with the last byte and never asks for the end, which the guest
//! may not have come to yet: nobody's leaving then is the guest's end.

use crate::limits::{BufferReservation, READ_AHEAD_BYTES_MAX, UsageScopes};
use bytes::Bytes;
use elias_delivery::supervision::{SharedAdmission, SharedPermit};
use elias_host::Error;
use elias_names::TenantId;
use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// How long a guest may be stalled before another request can have its permit: a client that reads at all has read
/// something by then.
const STALLED_AT_LEAST: Duration = Duration::from_secs(1);

/// The least time between two guests of one tenant that are ended for requests which wait. To end a guest, and to begin
/// the one that gets its permit, is work of the host that no scheduler of guests sees: hundreds of requests that find
/// hundreds of stalled guests at the same moment would keep the host's threads for a tenth of a second.
const EVICTION_INTERVAL: Duration = Duration::from_millis(10);

/// The body of a component's response.
pub(crate) enum ComponentBody {
    /// As the guest writes it, or all that it has written.
    Direct(elias_host::Body),
    /// Read ahead.
    Ahead(ReadAhead),
}

impl Body for ComponentBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self {
            Self::Direct(body) => Pin::new(body).poll_frame(cx),
            Self::Ahead(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::Ahead(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Direct(body) => body.size_hint(),
            Self::Ahead(_) => SizeHint::default(),
        }
    }
}

/// The client's end. Dropping it ends the guest, unless the client was given as many bytes as were announced.
pub(crate) struct ReadAhead {
    buffer: Arc<Buffer>,
    task: AbortHandle,
    /// Bytes that were announced and not given yet.
    unread: Option<u64>,
    /// Of the piece that was given last, until the next one is asked for.
    room: Option<BufferReservation>,
    /// hyper has been given something since it last had a turn to write it.
    is_unwritten: bool,
}

impl ReadAhead {
    /// Begins to read a body whose length was announced or not; `permit` is given back once all of it has been read.
    pub(crate) fn start(
        body: elias_host::Body,
        announced: Option<u64>,
        permit: Option<Arc<SharedPermit>>,
        scopes: UsageScopes,
        stalls: &Arc<StalledExecutions>,
    ) -> Self {
        let buffer = Arc::new(Buffer::default());
        let tenant = permit.as_ref().and_then(|permit| permit.tenant().cloned());
        let reader = Reader { body, buffer: Arc::clone(&buffer), scopes, stalls: Arc::clone(stalls), tenant };
        let task = tokio::spawn(async move {
            reader.read().await;
            drop(permit);
        });
        Self { buffer, task: task.abort_handle(), unread: announced, room: None, is_unwritten: false }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.room = None;
        self.buffer.client.register(cx.waker());
        let mut state = self.buffer.state();
        let fails = state.pieces.front().is_some_and(|piece| piece.frame.is_err());
        if fails && std::mem::take(&mut self.is_unwritten) {
            // hyper drops what it has not written when it is told of an error, and writes when it is told to wait.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(Piece { frame, room, bytes }) = state.pieces.pop_front() else {
            self.is_unwritten &= state.ended;
            return if state.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        state.bytes -= bytes;
        drop(state);
        self.is_unwritten = true;
        self.room = room;
        if let (Some(unread), Ok(_)) = (&mut self.unread, &frame) {
            *unread = unread.saturating_sub(bytes);
        }
        self.buffer.guest.wake();
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        let state = self.buffer.state();
        self.is_whole() || (state.ended && state.pieces.is_empty())
    }

    /// Whether the client was given all that was announced.
    fn is_whole(&self) -> bool {
        self.unread == Some(0)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        if self.is_whole() {
            self.buffer.state().is_left = true;
            self.buffer.guest.wake();
        } else {
            self.task.abort();
        }
    }
}

/// The buffer between guest and client.
#[derive(Default)]
struct Buffer {
    state: Mutex<State>,
    /// Waits for a piece.
    client: AtomicWaker,
    /// Waits for room.
    guest: AtomicWaker,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Piece>,
    bytes: u64,
    ended: bool,
    /// The client has all that was announced, and takes no more.
    is_left: bool,
    /// The guest is to be ended: another request needs its permit.
    evicted: bool,
}

struct Piece {
    frame: Result<Frame<Bytes>, Error>,
    /// None where there was none left: then the next piece is not read before this one is taken.
    room: Option<BufferReservation>,
    bytes: u64,
}

impl Buffer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock() // whole after every operation
    }

    fn push(&self, frame: Result<Frame<Bytes>, Error>, room: Option<BufferReservation>, bytes: u64) {
        let mut state = self.state();
        state.bytes += bytes;
        state.pieces.push_back(Piece { frame, room, bytes });
        drop(state);
        self.client.wake();
    }

    fn end(&self) {
        self.state().ended = true;
        self.client.wake();
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.is_left || self.bytes < READ_AHEAD_BYTES_MAX && self.pieces.iter().all(|piece| piece.room.is_some())
    }
}

/// The guest's end.
struct Reader {
    body: elias_host::Body,
    buffer: Arc<Buffer>,
    scopes: UsageScopes,
    stalls: Arc<StalledExecutions>,
    /// The tenant of the guest.
    tenant: Option<TenantId>,
}

impl Reader {
    async fn read(mut self) {
        while self.room().await {
            let Some(frame) = self.body.frame().await else { break };
            let bytes = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
            if bytes > 0 && self.buffer.state().is_left {
                break; // it writes more than it announced
            }
            let room = self.scopes.reserve_buffer(bytes);
            self.buffer.push(frame, room, bytes);
        }
        let Self { body, buffer, .. } = self;
        drop(body);
        buffer.end();
    }

    /// Waits until another piece may be read; false if the guest is to end.
    async fn room(&mut self) -> bool {
        if self.buffer.state().has_room() {
            return true;
        }
        let _stalled = (self.stalls.begin(&self.buffer, &self.tenant), self.scopes.stalled());
        self.buffer.state().evicted = false; // it may have been meant for an earlier wait
        let evicted = poll_fn(|cx| {
            self.buffer.guest.register(cx.waker());
            let state = self.buffer.state();
            match state.evicted {
                true => Poll::Ready(true),
                false if state.has_room() => Poll::Ready(false),
                false => Poll::Pending,
            }
        });
        let mut evicted = pin!(evicted);
        let why = loop {
            match tokio::time::timeout(STALLED_AT_LEAST, &mut evicted).await {
                Ok(false) => return true,
                Ok(true) => break "the client read too slowly, and another request needed the slot",
                Err(_) if self.scopes.has_too_many_stalled() => {
                    break "the client reads nothing of too many responses on one connection";
                }
                Err(_) => {}
            }
        };
        self.buffer.push(Err(Error::slow_client(why)), None, 0);
        false
    }
}

/// Guests that wait for their clients to read.
///
/// They hold permits to run that they do not use, so a request for which there is no permit gets that of the guest
/// which has been stalled for longest: of its own tenant while others can still have permits, else of the tenant that
/// holds most. Slow clients so keep nobody out, and nobody is cut off for being slow while there is room. Those of one
/// tenant are ended one after the other, whoever asks: a permit that is free goes to the tenant whose turn it is.
#[derive(Default)]
pub(crate) struct StalledExecutions {
    stalled: Mutex<Stalled>,
    count: AtomicU64,
}

#[derive(Default)]
struct Stalled {
    buffers: HashMap<Option<TenantId>, StalledBuffers>,
    /// The tenants of which a guest was ended within [`EVICTION_INTERVAL`], and when.
    evicted: HashMap<Option<TenantId>, Instant>,
}

/// Of one tenant, those stalled for longest first.
type StalledBuffers = BTreeMap<(Instant, u64), Arc<Buffer>>;

impl StalledExecutions {
    fn stalled(&self) -> MutexGuard<'_, Stalled> {
        self.stalled.lock() // the maps are whole after every operation
    }

    fn begin<'a>(&'a self, buffer: &Arc<Buffer>, tenant: &'a Option<TenantId>) -> StallGuard<'a> {
        let key = (Instant::now(), self.count.fetch_add(1, Ordering::Relaxed));
        self.stalled().buffers.entry(tenant.clone()).or_default().insert(key, Arc::clone(buffer));
        StallGuard { stalls: self, tenant, key }
    }

    /// Ends a guest that has been stalled for long enough, for a request of the tenant that waits for a permit.
    pub(crate) fn evict(&self, tenant: Option<&TenantId>, admission: &SharedAdmission) {
        self.evict_at(Instant::now(), tenant, admission);
    }

    fn evict_at(&self, now: Instant, tenant: Option<&TenantId>, admission: &SharedAdmission) {
        let is_old = |buffers: &StalledBuffers| {
            let first = buffers.first_key_value();
            first.is_some_and(|((since, _), _)| now.saturating_duration_since(*since) >= STALLED_AT_LEAST)
        };
        let mut stalled = self.stalled();
        let Stalled { buffers, evicted } = &mut *stalled;
        evicted.retain(|_, last| now.saturating_duration_since(*last) < EVICTION_INTERVAL);
        let candidates = buffers.iter_mut().filter(|(_, buffers)| is_old(buffers));
        let chosen = match admission.is_full() {
            true => candidates.max_by_key(|(holder, _)| admission.held_by(holder.as_ref())),
            false => candidates.into_iter().find(|(holder, _)| holder.as_ref() == tenant),
        };
        let Some((holder, buffers)) = chosen.filter(|(holder, _)| !evicted.contains_key(*holder)) else { return };
        let Some((_, buffer)) = buffers.pop_first() else { return };
        evicted.insert(holder.clone(), now);
        drop(stalled);
        buffer.state().evicted = true;
        buffer.guest.wake();
    }
}

/// A guest that is stalled until this is dropped.
struct StallGuard<'a> {
    stalls: &'a StalledExecutions,
    tenant: &'a Option<TenantId>,
    key: (Instant, u64),
}

impl Drop for StallGuard<'_> {
    fn drop(&mut self) {
        let mut stalled = self.stalls.stalled();
        let Some(buffers) = stalled.buffers.get_mut(self.tenant) else { return };
        buffers.remove(&self.key);
        if buffers.is_empty() {
            stalled.buffers.remove(self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_tenant_guests_are_ended_one_after_the_other_however_many_requests_wait() {
        let (stalls, admission) = (StalledExecutions::default(), SharedAdmission::new(10, 10, Duration::ZERO));
        let [busy, calm] = ["busy", "calm"].map(|name| Some(name.parse::<TenantId>().expect("a name")));
        let buffers = |count: usize| (0..count).map(|_| Arc::<Buffer>::default()).collect::<Vec<_>>();
        let evicted = |buffers: &[Arc<Buffer>]| buffers.iter().filter(|buffer| buffer.state().evicted).count();
        let (many, one) = (buffers(500), buffers(1));
        let guards: Vec<_> = many.iter().map(|buffer| stalls.begin(buffer, &busy)).collect();
        let _guard = stalls.begin(&one[0], &calm);
        let began = Instant::now() + STALLED_AT_LEAST;
        for turn in 0..5 {
            // All that wait look at the same moment, and some a little later.
            for later in [Duration::ZERO, EVICTION_INTERVAL / 2] {
                (0..250)
                    .for_each(|_| stalls.evict_at(began + turn * EVICTION_INTERVAL + later, busy.as_ref(), &admission));
            }
            assert_eq!(evicted(&many), turn as usize + 1);
        }
        // Another tenant's requests do not wait for that.
        stalls.evict_at(began + 4 * EVICTION_INTERVAL, calm.as_ref(), &admission);
        assert_eq!((evicted(&many), evicted(&one)), (5, 1));
        // A guest that has only just begun to wait is left alone.
        drop(guards);
        let (fresh, before) = (buffers(1), Instant::now());
        let _guard = stalls.begin(&fresh[0], &busy);
        stalls.evict_at(before, busy.as_ref(), &admission);
        assert_eq!((evicted(&fresh), stalls.stalled().evicted.len()), (0, 2));
        // Tenants of which none was ended of late are forgotten.
        stalls.evict_at(Instant::now() + 2 * STALLED_AT_LEAST, busy.as_ref(), &admission);
        assert_eq!((evicted(&fresh), stalls.stalled().evicted.len()), (1, 1));
    }
}

//! What happens, for those who follow it: the newest items in a ring of bounded size.
//!
//! Items are numbered, so that a follower that comes back goes on where it was, and one that is too slow knows how much
//! it has missed. (A broadcast channel of tokio's has no place in the past to begin at.)

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Positions that a feed has for itself: an item of one feed is at none of another, such as the one that was in its
/// place before and ended when nobody followed it.
const POSITIONS: u64 = 1 << 40;
/// The first position of the next feed of this run of the host.
static NEXT_START: AtomicU64 = AtomicU64::new(0);

/// The items that are kept, beside their bytes.
struct Ring<T> {
    items: VecDeque<(T, usize)>,
    /// The position of the first of them.
    first: u64,
    bytes: usize,
}

/// The bounds of a ring.
#[derive(Debug, Clone, Copy)]
pub struct FeedBounds {
    /// Items.
    pub items: usize,
    /// Bytes of all items, by what [`Feed::push`] is told.
    pub bytes: usize,
}

/// The side of a feed at which items come in. Its followers end with it.
pub struct Feed<T> {
    ring: Arc<Mutex<Ring<T>>>,
    /// Wakes the followers.
    pushed: watch::Sender<()>,
    bounds: FeedBounds,
    /// The position of its first item.
    start: u64,
}

/// A follower of a feed.
pub struct Follower<T> {
    ring: Arc<Mutex<Ring<T>>>,
    pushed: watch::Receiver<()>,
    next: u64,
    is_reset: bool,
}

/// What a follower gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed<T> {
    /// The item at a position. Positions grow by one.
    Item(u64, T),
    /// So many items were dropped before the follower took them.
    Lost(u64),
}

impl<T> Feed<T> {
    /// An empty feed.
    #[must_use]
    pub fn new(bounds: FeedBounds) -> Self {
        Self::starting_at(NEXT_START.fetch_add(POSITIONS, Ordering::Relaxed), bounds)
    }

    fn starting_at(start: u64, bounds: FeedBounds) -> Self {
        let ring = Ring { items: VecDeque::new(), first: start, bytes: 0 };
        Self { ring: Arc::new(Mutex::new(ring)), pushed: watch::Sender::new(()), bounds, start }
    }

    /// Adds an item of so many bytes. The oldest go where there is no room.
    pub fn push(&self, item: T, bytes: usize) {
        {
            let mut ring = self.ring.lock();
            ring.items.push_back((item, bytes));
            ring.bytes += bytes;
            while ring.items.len() > self.bounds.items || ring.bytes > self.bounds.bytes {
                let Some((_, bytes)) = ring.items.pop_front() else { break };
                ring.bytes -= bytes;
                ring.first += 1;
            }
        }
        self.pushed.send_replace(());
    }

    /// Follows the items after the one at the position `after`, of which those that were dropped meanwhile are counted
    /// as lost; from now on without a position, or with one that no item of this feed had.
    #[must_use]
    pub fn follow(&self, after: Option<u64>) -> Follower<T> {
        let pushed = self.pushed.subscribe();
        let ring = self.ring.lock();
        let end = ring.first + ring.items.len() as u64;
        let known = after.filter(|after| (self.start..end).contains(after));
        let next = known.map_or(end, |after| after + 1);
        Follower { ring: Arc::clone(&self.ring), pushed, next, is_reset: after.is_some() && known.is_none() }
    }

    /// Follows the items from the oldest that is kept on.
    #[must_use]
    pub fn follow_kept(&self) -> Follower<T> {
        let pushed = self.pushed.subscribe();
        let next = self.ring.lock().first;
        Follower { ring: Arc::clone(&self.ring), pushed, next, is_reset: false }
    }

    /// Whether anybody follows.
    pub(crate) fn is_followed(&self) -> bool {
        self.pushed.receiver_count() > 0
    }
}

impl<T: Clone> Feed<T> {
    /// The items that are kept and that `wanted` selects, the oldest first.
    pub fn kept(&self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let ring = self.ring.lock();
        ring.items.iter().map(|(item, _)| item).filter(|item| wanted(item)).cloned().collect()
    }
}

impl<T> Follower<T> {
    /// Whether it was to go on after an item that this feed does not know: nobody can say what it has missed.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.is_reset
    }
}

impl<T: Clone> Follower<T> {
    /// The next item, as soon as it is there; `None` once the feed has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Followed<T>> {
        loop {
            if let Some(followed) = self.take() {
                return Some(followed);
            }
            // Another item may have come with the end.
            if self.pushed.changed().await.is_err() {
                return self.take();
            }
        }
    }

    fn take(&mut self) -> Option<Followed<T>> {
        let ring = self.ring.lock();
        if self.next < ring.first {
            let lost = ring.first - self.next;
            self.next = ring.first;
            return Some(Followed::Lost(lost));
        }
        let at = usize::try_from(self.next - ring.first).ok()?;
        let (item, _) = ring.items.get(at)?;
        self.next += 1;
        Some(Followed::Item(self.next - 1, item.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn feed(items: usize, bytes: usize) -> Feed<u32> {
        Feed::starting_at(0, FeedBounds { items, bytes })
    }

    /// What a follower gets without waiting.
    fn all(follower: &mut Follower<u32>) -> Vec<Followed<u32>> {
        std::iter::from_fn(|| follower.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_follower_gets_what_comes_and_knows_what_it_missed() {
        let feed = feed(3, 100);
        feed.push(0, 1);
        let mut follower = feed.follow(None);
        assert!(all(&mut follower).is_empty());
        (1..=2).for_each(|number| feed.push(number, 1));
        assert_eq!(all(&mut follower), [Followed::Item(1, 1), Followed::Item(2, 2)]);
        (3..=7).for_each(|number| feed.push(number, 1));
        let newest = [Followed::Lost(2), Followed::Item(5, 5), Followed::Item(6, 6), Followed::Item(7, 7)];
        assert_eq!(all(&mut follower), newest);
        assert!(feed.is_followed());
        drop(follower);
        assert!(!feed.is_followed());
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was() {
        let feed = feed(3, 100);
        (0..5).for_each(|number| feed.push(number, 1));
        assert_eq!(all(&mut feed.follow(Some(3))), [Followed::Item(4, 4)]);
        assert_eq!(all(&mut feed.follow(Some(0)))[0], Followed::Lost(1));
        for none in [None, Some(4), Some(5), Some(u64::MAX)] {
            assert!(all(&mut feed.follow(none)).is_empty(), "{none:?}");
        }
        let resets = [None, Some(0), Some(4), Some(5), Some(u64::MAX)].map(|after| feed.follow(after).is_reset());
        assert_eq!(resets, [false, false, false, true, true], "what never was is told");
        let kept = [Followed::Item(2, 2), Followed::Item(3, 3), Followed::Item(4, 4)];
        assert_eq!(all(&mut feed.follow_kept()), kept);
        assert_eq!(feed.kept(|item| item % 2 == 0), [2, 4]);
    }

    #[test]
    fn a_position_is_of_one_feed() {
        let bounds = FeedBounds { items: 3, bytes: 100 };
        let (former, new) = (Feed::new(bounds), Feed::new(bounds));
        let mut follower = former.follow(None);
        former.push(1, 1);
        let [Followed::Item(seen, 1)] = all(&mut follower)[..] else { panic!("its item") };
        (2..=4).for_each(|number| new.push(number, 1));
        let mut again = new.follow(Some(seen));
        assert!(again.is_reset() && all(&mut again).is_empty(), "what came between the two is not known");
        assert!(!former.follow(Some(seen)).is_reset());
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let feed = feed(1_000, 10);
        let mut follower = feed.follow(None);
        [4, 4, 4, 100].into_iter().for_each(|bytes| feed.push(0, bytes));
        assert_eq!(all(&mut follower), [Followed::Lost(4)], "the last alone is larger than all may be");
        feed.push(1, 10);
        assert_eq!(all(&mut follower), [Followed::Item(4, 1)]);
    }

    #[tokio::test]
    async fn a_follower_ends_with_its_feed_and_not_before_its_last_item() {
        let feed = feed(3, 100);
        let mut follower = feed.follow(None);
        let push = async {
            feed.push(1, 1);
            drop(feed);
        };
        let (first, ()) = tokio::join!(follower.next(), push);
        assert_eq!((first, follower.next().await), (Some(Followed::Item(0, 1)), None));
    }
}

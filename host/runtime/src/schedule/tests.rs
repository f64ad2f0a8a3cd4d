//! The queue in a model whose time is counted and not measured, and the scheduler between threads.

use super::queue::{Charge, FairQueue, ShareKey};
use super::{CpuShare, Guest as _, Scheduled, Scheduler};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;

/// Numbers that are the same for the same seed (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A guest of the model.
#[derive(Clone, Copy)]
struct Guest {
    share: usize,
    /// The longest slice, in nanoseconds: each slice is between half of it and all of it.
    slice: u64,
    /// How long it waits for something outside after each slice; 0: it yields only.
    parks: u64,
}

/// So many cores that serve the guests of these shares.
struct Model {
    queue: FairQueue<usize>,
    keys: Vec<ShareKey>,
    guests: Vec<Guest>,
    cores: usize,
    random: Random,
    now: u64,
    /// The running guests until their ends: start, guest and charge by end.
    running: BTreeMap<(u64, usize), (u64, Charge)>,
    /// The guests that come back, by time.
    parked: BTreeMap<(u64, usize), ()>,
    used: Vec<u64>,
    turns: Vec<u64>,
    /// The longest time that a guest waited in the queue.
    longest_wait: Vec<u64>,
    waits_since: Vec<u64>,
}

/// A group and a subgroup, each with its weight.
type Names<'a> = ((&'a str, u32), (&'a str, u32));

impl Model {
    fn new(cores: usize, seed: u64, shares: &[Names<'_>], guests: Vec<Guest>) -> Self {
        let mut queue = FairQueue::default();
        let keys = shares.iter().map(|(group, subgroup)| queue.hold(*group, *subgroup)).collect();
        let count = guests.len();
        let parked = (0..count).map(|guest| ((0, guest), ())).collect();
        Self {
            queue,
            keys,
            guests,
            cores,
            random: Random(seed),
            now: 0,
            running: BTreeMap::new(),
            parked,
            used: vec![0; shares.len()],
            turns: vec![0; count],
            longest_wait: vec![0; count],
            waits_since: vec![0; count],
        }
    }

    fn start(&mut self, guest: usize, charge: Charge) {
        let slice = self.guests[guest].slice;
        let ends = self.now + slice / 2 + self.random.below(slice / 2 + 1);
        self.running.insert((ends, guest), (self.now, charge));
        self.turns[guest] += 1;
    }

    /// A guest can run: at once if a core is free and nobody waits, as in [`Scheduler`].
    fn enter(&mut self, guest: usize) {
        if self.running.len() < self.cores && self.queue.waiting() == 0 {
            return self.start(guest, Charge::default());
        }
        self.waits_since[guest] = self.now;
        self.queue.push(self.keys[self.guests[guest].share], guest);
    }

    fn run_until(&mut self, end: u64) {
        while self.now < end {
            let ends = self.running.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            let comes = self.parked.first_key_value().map_or(u64::MAX, |((at, _), ())| *at);
            self.now = ends.min(comes);
            if comes <= ends {
                let ((_, guest), ()) = self.parked.pop_first().expect("it is there");
                self.enter(guest);
                continue;
            }
            let ((_, guest), (began, charge)) = self.running.pop_first().expect("it is there");
            let Guest { share, parks, .. } = self.guests[guest];
            self.used[share] += self.now - began;
            let contended = self.queue.waiting() > 0;
            if contended {
                self.queue.served(self.keys[share], charge, self.now - began);
            }
            match parks {
                0 if contended => {
                    self.waits_since[guest] = self.now;
                    self.queue.push(self.keys[share], guest);
                }
                0 => self.start(guest, Charge::default()),
                parks => drop(self.parked.insert((self.now + parks, guest), ())),
            }
            while self.running.len() < self.cores
                && let Some((next, _, charge)) = self.queue.pop()
            {
                self.longest_wait[next] = self.longest_wait[next].max(self.now - self.waits_since[next]);
                self.start(next, charge);
            }
        }
    }

    /// The parts of all that was used, in percent.
    fn parts(&self) -> Vec<f64> {
        let all: u64 = self.used.iter().sum();
        self.used.iter().map(|used| *used as f64 * 100.0 / all as f64).collect()
    }
}

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const SEEDS: [u64; 8] = [1, 2, 3, 5, 8, 13, 21, 34];

fn spinners(share: usize, count: usize) -> impl Iterator<Item = Guest> {
    std::iter::repeat_n(Guest { share, slice: MS, parks: 0 }, count)
}

fn near(part: f64, wanted: f64, seed: u64) {
    assert!((part - wanted).abs() < 1.0, "{part} % and not {wanted} %, with seed {seed}");
}

#[test]
fn a_group_of_a_hundred_gets_no_more_than_a_group_of_one() {
    for seed in SEEDS {
        for cores in [1, 2] {
            let guests = spinners(0, 100).chain(spinners(1, 1)).collect();
            let mut model = Model::new(cores, seed, &[(("a", 100), ("s", 100)), (("b", 100), ("s", 100))], guests);
            model.run_until(4 * SECOND);
            near(model.parts()[1], 50.0, seed);
        }
    }
}

#[test]
fn the_services_of_a_group_share_what_the_group_gets() {
    for seed in SEEDS {
        let guests = spinners(0, 50).chain(spinners(1, 2)).chain(spinners(2, 2)).collect();
        let shares = [(("a", 100), ("x", 100)), (("a", 100), ("y", 100)), (("b", 100), ("x", 100))];
        let mut model = Model::new(2, seed, &shares, guests);
        model.run_until(4 * SECOND);
        for (part, wanted) in model.parts().into_iter().zip([25.0, 25.0, 50.0]) {
            near(part, wanted, seed);
        }
    }
}

#[test]
fn weights_hold_for_any_lengths_of_slices() {
    for seed in SEEDS {
        let mut random = Random(seed * 7919);
        let weights: Vec<u32> = (0..20).map(|_| 1 + u32::try_from(random.below(9)).expect("small")).collect();
        let names: Vec<String> = (0..20).map(|group| format!("g{group}")).collect();
        let shares: Vec<_> = names.iter().zip(&weights).map(|(name, weight)| ((&**name, *weight), ("s", 1))).collect();
        let guests = (0..20).flat_map(|share| {
            let slice = MS / 10 + random.below(MS);
            let count = 4 + random.below(8) as usize;
            std::iter::repeat_n(Guest { share, slice, parks: 0 }, count)
        });
        let mut model = Model::new(4, seed, &shares, guests.collect());
        model.run_until(10 * SECOND);
        let sum: u32 = weights.iter().sum();
        for (part, weight) in model.parts().into_iter().zip(&weights) {
            near(part, f64::from(*weight) * 100.0 / f64::from(sum), seed);
        }
    }
}

#[test]
fn another_weight_holds_from_then_on() {
    for seed in SEEDS {
        let shares = [(("a", 100), ("s", 100)), (("b", 100), ("s", 100))];
        let mut model = Model::new(2, seed, &shares, spinners(0, 10).chain(spinners(1, 10)).collect());
        model.run_until(2 * SECOND);
        let before = model.used.clone();
        model.queue.set_weight("a", 300);
        model.queue.set_weight("nobody", 300);
        model.run_until(6 * SECOND);
        let [a, b] = [model.used[0] - before[0], model.used[1] - before[1]];
        near(a as f64 * 100.0 / (a + b) as f64, 75.0, seed);
    }
}

#[test]
fn nobody_starves_and_who_wakes_up_is_next_but_for_the_cores() {
    for seed in SEEDS {
        // Hogs with many guests each, and guests that wait for something outside most of the time.
        let hogs = (0..5).flat_map(|share| spinners(share, 100));
        let quiet = (5..25).map(|share| Guest { share, slice: MS / 10, parks: 20 * MS });
        let names: Vec<String> = (0..25).map(|group| format!("g{group}")).collect();
        let shares: Vec<_> = names.iter().map(|name| ((&**name, 100), ("s", 100))).collect();
        let mut model = Model::new(2, seed, &shares, hogs.chain(quiet).collect());
        for guest in 500..520 {
            // Not all at the start, when everybody is equal.
            model.parked.remove(&(0, guest));
            model.parked.insert((50 * MS + model.random.below(20 * MS), guest), ());
        }
        model.run_until(2 * SECOND);
        assert!(model.turns.iter().all(|turns| *turns > 0), "everybody ran, with seed {seed}");
        // At worst a slice of each core, and one short slice of each of those that woke up at the same time.
        let longest = model.longest_wait[500..].iter().max().expect("there are some");
        assert!(*longest <= MS + 20 * MS / 10, "{longest} ns, with seed {seed}");
    }
}

#[test]
fn what_was_not_used_is_not_saved_up_and_what_nobody_wanted_is_not_held_against_anyone() {
    for seed in SEEDS {
        // The first runs alone for a long time; then the second, which had not run at all, comes to stay.
        let mut guests: Vec<_> = spinners(0, 10).chain(spinners(1, 10)).collect();
        let shares = [(("a", 100), ("s", 100)), (("b", 100), ("s", 100))];
        let mut model = Model::new(2, seed, &shares, guests.clone());
        for guest in 10..20 {
            model.parked.remove(&(0, guest));
            model.parked.insert((5 * SECOND, guest), ());
        }
        model.run_until(5 * SECOND);
        let before = model.used.clone();
        model.run_until(7 * SECOND);
        let [a, b] = [model.used[0] - before[0], model.used[1] - before[1]];
        near(b as f64 * 100.0 / (a + b) as f64, 50.0, seed);
        // The same where there was always somebody who waited, so that the first was charged all along.
        guests[10].parks = 50 * MS;
        let mut model = Model::new(1, seed, &shares, guests);
        for guest in 11..20 {
            model.parked.remove(&(0, guest));
            model.parked.insert((5 * SECOND, guest), ());
        }
        model.run_until(5 * SECOND);
        let before = model.used.clone();
        model.run_until(7 * SECOND);
        let [a, b] = [model.used[0] - before[0], model.used[1] - before[1]];
        near(b as f64 * 100.0 / (a + b) as f64, 50.0, seed);
    }
}

#[test]
fn who_leaves_the_queue_is_not_served_and_leaves_nothing_behind() {
    let mut queue = FairQueue::default();
    let key = queue.hold(("a", 1), ("s", 1));
    let places: Vec<_> = (0..3).map(|guest| queue.push(key, guest)).collect();
    assert_eq!(queue.leave(key, places[1]), Some(1));
    assert_eq!(queue.leave(key, places[1]), None);
    assert_eq!(queue.pop().map(|next| next.0), Some(0));
    assert_eq!(queue.leave(key, places[2]), Some(2));
    assert!(queue.pop().is_none());
    queue.give_up(key);
    let key = queue.hold(("a", 1), ("s", 1));
    assert_eq!(queue.push(key, 9), 3, "the names are free again");
}

/// A guest that is woken, and whose reader does not come back, keeps no core from others.
#[test]
fn who_is_left_alone_has_no_core() {
    let scheduler = Scheduler::new(1);
    let share = scheduler.share(&CpuShare::new("g", "s"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut left = Box::pin(Scheduled::new(&share, std::future::pending::<()>()));
    {
        // While two run, which is the core and one that begins, the third has to wait; then it is given the core.
        let inner = Scheduled::new(
            &share,
            poll_fn(|cx| {
                assert!(left.as_mut().poll(cx).is_pending());
                assert_eq!((scheduler.load().running, scheduler.load().waiting), (2, 1));
                Poll::Ready(())
            }),
        );
        let mut inner = Box::pin(inner);
        let outer = Scheduled::new(&share, poll_fn(|cx| inner.as_mut().poll(cx)));
        assert!(Box::pin(outer).as_mut().poll(&mut context).is_ready());
    }
    assert_eq!((scheduler.load().running, scheduler.load().waiting), (1, 0));
    left.pause();
    assert_eq!((scheduler.load().running, scheduler.load().waiting), (0, 0));
    assert!(left.as_mut().poll(&mut context).is_pending(), "it runs when it is polled again, and parks");
    assert_eq!((scheduler.load().running, scheduler.load().waiting), (0, 0));
}

/// Guests of several shares on several threads: each yields and parks often, some are dropped on the way. No more run
/// at a time than there are cores and one, all that stay come to their end, and every core is given back.
#[test]
fn between_threads_every_core_is_given_back_and_no_wake_up_is_lost() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let scheduler = Scheduler::new(2);
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200_u32)
            .map(|number| {
                let share = scheduler.share(&CpuShare::new(format!("g{}", number % 7), format!("s{}", number % 3)));
                let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
                let mut left = 300_u32;
                let guest = poll_fn(move |cx| {
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::hint::black_box((0..200).sum::<u32>());
                    inside.fetch_sub(1, SeqCst);
                    left -= 1;
                    match left {
                        0 => return Poll::Ready(()),
                        _ if left % 3 == number % 3 => {
                            let waker = cx.waker().clone();
                            tokio::spawn(async move { waker.wake() });
                        }
                        _ => cx.waker().wake_by_ref(),
                    }
                    Poll::Pending
                });
                let task = tokio::spawn(Scheduled::new(&share, guest));
                if number % 5 == 0 {
                    task.abort();
                }
                task
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert!(task.await.is_ok() || number % 5 == 0, "guest {number} comes to its end");
        }
    });
    assert!(most.load(SeqCst) <= 3, "{most:?} at a time: two, and one that begins");
    let load = scheduler.load();
    assert_eq!((load.running, load.waiting), (0, 0));
}

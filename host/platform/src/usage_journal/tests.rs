//! Counts over hours, and over the ends of processes.

use super::*;
use cap_std::ambient_authority;
use elias_telemetry::usage::HOUR_MS;
use std::collections::BTreeMap;

/// A store as it is told, by tenant, hour and source.
type Told = BTreeMap<(String, u64, String), UsageAmounts>;

fn folder(path: &std::path::Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).expect("it is there")
}

fn journal(path: &std::path::Path, slots: usize) -> UsageJournal {
    UsageJournal::with_slots(folder(path), &ulid::Ulid::new().to_string(), slots).expect("a journal")
}

fn name(text: &str) -> TenantId {
    text.parse().expect("a name")
}

fn executions(executions: u64) -> UsageAmounts {
    UsageAmounts { executions, fuel: 10 * executions, ..UsageAmounts::default() }
}

/// Tells a store, which takes it.
fn tell(journal: &UsageJournal, told: &mut Told, now_ms: u64) -> usize {
    let untold = journal.untold(now_ms);
    note(told, &untold);
    journal.told(&untold);
    untold.len()
}

fn note(told: &mut Told, untold: &[CountedUsage]) {
    for usage in untold {
        told.insert((usage.tenant.to_string(), usage.hour, usage.source.clone()), usage.amounts);
    }
}

fn sum(told: &Told, tenant: &str, hour: u64) -> u64 {
    let of_hour = told.iter().filter(|((name, at, _), _)| name == tenant && *at == hour);
    of_hour.map(|(_, amounts)| amounts.executions).sum()
}

#[test]
fn the_store_is_told_what_has_changed_and_hours_are_apart() {
    let path = tempfile::tempdir().expect("a folder");
    let (journal, mut told) = (journal(path.path(), 8), Told::new());
    let (acme, other) = (journal.account(&name("acme")), journal.account(&name("other")));
    acme.book(executions(1), 5);
    other.book(executions(7), 5);
    assert_eq!(tell(&journal, &mut told, 5), 2);
    assert_eq!(tell(&journal, &mut told, 5), 0, "nothing has changed");
    acme.book(executions(2), 6);
    assert_eq!(tell(&journal, &mut told, 6), 1);
    acme.book(executions(4), HOUR_MS);
    tell(&journal, &mut told, HOUR_MS);
    assert_eq!((sum(&told, "acme", 0), sum(&told, "acme", 1), sum(&told, "other", 0)), (3, 4, 7));
    assert_eq!(told.values().map(|amounts| amounts.fuel).sum::<u64>(), 140);
}

#[test]
fn a_process_that_is_killed_at_any_time_loses_and_doubles_nothing() {
    let path = tempfile::tempdir().expect("a folder");
    let mut told = Told::new();
    // Killed before it told anything.
    let first = journal(path.path(), 8);
    first.account(&name("acme")).book(executions(1), 0);
    drop(first);
    // Killed after the store has taken it, and before it knew.
    let second = journal(path.path(), 8);
    second.account(&name("acme")).book(executions(10), 0);
    note(&mut told, &second.untold(0));
    assert_eq!(sum(&told, "acme", 0), 11);
    second.account(&name("acme")).book(executions(100), 0);
    drop(second);
    // Goes on in the same hour.
    let third = journal(path.path(), 8);
    third.account(&name("acme")).book(executions(1_000), 0);
    tell(&third, &mut told, 0);
    assert_eq!(sum(&told, "acme", 0), 1_111);
    let files = folder(path.path()).entries().expect("it can be read").count();
    assert_eq!(files, 1, "those of former runs are deleted");
}

#[test]
fn a_store_that_takes_nothing_is_told_again_with_what_came_meanwhile() {
    let path = tempfile::tempdir().expect("a folder");
    let (journal, mut told) = (journal(path.path(), 8), Told::new());
    let acme = journal.account(&name("acme"));
    for hour in 0..3 {
        acme.book(executions(1), hour * HOUR_MS);
        journal.untold(hour * HOUR_MS);
    }
    assert_eq!(tell(&journal, &mut told, 2 * HOUR_MS), 3);
    assert_eq!((0..3).map(|hour| sum(&told, "acme", hour)).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn what_comes_after_the_end_of_an_hour_is_of_a_later_one() {
    let path = tempfile::tempdir().expect("a folder");
    let (journal, mut told) = (journal(path.path(), 1), Told::new());
    let acme = journal.account(&name("acme"));
    acme.book(executions(1), 0);
    tell(&journal, &mut told, HOUR_MS);
    acme.book(executions(2), 0); // the clock was set back
    tell(&journal, &mut told, HOUR_MS);
    assert_eq!((sum(&told, "acme", 0), sum(&told, "acme", 1)), (1, 2), "the slot was free again");
}

#[test]
fn without_a_free_slot_a_tenant_keeps_its_own_and_others_are_counted_together() {
    let path = tempfile::tempdir().expect("a folder");
    let (journal, mut told) = (journal(path.path(), 1), Told::new());
    let (acme, other) = (journal.account(&name("acme")), journal.account(&name("other")));
    acme.book(executions(1), 0);
    acme.book(executions(2), HOUR_MS);
    other.book(executions(5), HOUR_MS);
    other.book(executions(6), HOUR_MS);
    assert_eq!(journal.unassigned(), executions(11));
    tell(&journal, &mut told, HOUR_MS);
    assert_eq!(sum(&told, "acme", 0), 3);
    other.book(executions(7), HOUR_MS);
    tell(&journal, &mut told, HOUR_MS);
    assert_eq!(sum(&told, "other", 1), 7, "a slot is free by now");
}

#[test]
fn many_threads_count_while_hours_end() {
    const EACH: u64 = 2_000;
    let path = tempfile::tempdir().expect("a folder");
    let (journal, mut told) = (journal(path.path(), 64), Told::new());
    std::thread::scope(|scope| {
        let counting: Vec<_> = (0..4)
            .map(|_| {
                let account = journal.account(&name("acme"));
                scope.spawn(move || {
                    for at in 0..EACH {
                        account.book(executions(1), at * HOUR_MS / 100);
                    }
                })
            })
            .collect();
        let mut hour = 0;
        while counting.iter().any(|thread| !thread.is_finished()) {
            tell(&journal, &mut told, hour * HOUR_MS);
            hour += 1;
        }
    });
    tell(&journal, &mut told, u64::MAX);
    assert!(journal.unassigned().is_zero());
    assert_eq!(told.values().map(|amounts| amounts.executions).sum::<u64>(), 4 * EACH);
}

#[test]
fn without_a_file_the_host_counts_in_memory() {
    let path = tempfile::tempdir().expect("a folder");
    let source = ulid::Ulid::new().to_string();
    // No file of this name can be made.
    std::fs::create_dir(path.path().join(&source)).expect("made");
    let journal = UsageJournal::with_slots(folder(path.path()), &source, 4).expect("a journal");
    journal.account(&name("acme")).book(executions(3), 0);
    let mut told = Told::new();
    tell(&journal, &mut told, HOUR_MS);
    assert_eq!(sum(&told, "acme", 0), 3);
}

#[test]
fn files_that_are_damaged_or_not_ours_stop_nothing() {
    let path = tempfile::tempdir().expect("a folder");
    let dir = folder(path.path());
    let mut slot = [0xff_u8; 128];
    slot[..8].copy_from_slice(&1_u64.to_ne_bytes());
    dir.write(ulid::Ulid::new().to_string(), slot).expect("written");
    dir.write(ulid::Ulid::new().to_string(), b"short").expect("written");
    dir.write("notes.txt", b"mine").expect("written");
    let journal = journal(path.path(), 1);
    assert!(journal.untold(0).is_empty());
    journal.told(&[]);
    assert!(dir.exists("notes.txt"));
    assert_eq!(dir.entries().expect("it can be read").count(), 2, "the other is the journal's own");
}

#[test]
fn what_counted_nothing_leaves_no_file_behind() {
    let path = tempfile::tempdir().expect("a folder");
    let files = || folder(path.path()).entries().expect("it can be read").count();
    for _ in 0..3 {
        drop(journal(path.path(), 4));
        assert_eq!(files(), 1, "however often a host starts whose store is away");
    }
    // No memory can be mapped of a file that is empty.
    assert!(UsageJournal::with_slots(folder(path.path()), &ulid::Ulid::new().to_string(), 0).is_err());
    assert_eq!(files(), 0);
}

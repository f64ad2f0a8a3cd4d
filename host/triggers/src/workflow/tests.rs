//! Tests of the journal of a job's steps.

use super::*;
use elias_delivery::clock::Now;
use std::time::Duration;

const NOW: Now = Now::from_unix_ms(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn later(milliseconds: u64) -> Now {
    Now::from_unix_ms(NOW.unix_ms() + milliseconds)
}

fn step(position: u32, name: &str, outcome: &str) -> Record {
    let kind = RecordKind::Step { input_hash: "hash".to_owned(), outcome: outcome.to_owned() };
    Record { position, name: name.to_owned(), kind }
}

fn error(found: Result<impl std::fmt::Debug, JournalError>) -> String {
    let error = found.expect_err("another step");
    assert_eq!(error.code(), "nondeterministic-step");
    error.to_string()
}

#[test]
fn a_finished_step_is_answered_from_the_journal() {
    let mut journal = Journal::default();
    assert_eq!(journal.begin("charge", "hash"), Ok(Begin::Run { position: 0 }));
    let record = journal.finish(0, "1".to_owned()).expect("it ran").clone();
    assert_eq!(record, step(0, "charge", "1"));
    // The host dies, and the handler runs again.
    let mut journal = Journal::new([record]);
    assert_eq!(journal.begin("charge", "hash"), Ok(Begin::Recorded("1".to_owned())));
    assert_eq!(journal.begin("mail", "hash"), Ok(Begin::Run { position: 1 }), "and goes on where it was");
    assert_eq!(journal.end(), Ok(()));
}

#[test]
fn a_step_that_was_begun_and_not_finished_runs_again() {
    let mut journal = Journal::default();
    assert_eq!(journal.begin("charge", "hash"), Ok(Begin::Run { position: 0 }));
    let mut journal = Journal::new([]);
    assert_eq!(journal.begin("charge", "hash"), Ok(Begin::Run { position: 0 }));
}

#[test]
fn steps_side_by_side_have_the_positions_of_their_beginnings() {
    let mut journal = Journal::default();
    assert_eq!(journal.begin("slow", "a"), Ok(Begin::Run { position: 0 }));
    assert_eq!(journal.begin("quick", "b"), Ok(Begin::Run { position: 1 }));
    assert_eq!((journal.running("quick"), journal.running("slow"), journal.running("none")), (Some(1), Some(0), None));
    let quick = journal.finish(1, "2".to_owned()).expect("it ran").clone();
    let mut journal = Journal::new([quick]);
    assert_eq!(journal.begin("slow", "a"), Ok(Begin::Run { position: 0 }));
    assert_eq!(journal.begin("quick", "b"), Ok(Begin::Recorded("2".to_owned())));
}

#[test]
fn a_step_that_is_not_where_it_was_is_named_with_what_was_there() {
    let mut journal = Journal::new([step(0, "charge", "1")]);
    let message = error(journal.begin("mail", "hash"));
    assert_eq!(message, "step 0 was `step charge` when the handler ran before, and is `step mail` now");
    let mut journal = Journal::new([step(0, "charge", "1")]);
    assert!(error(journal.begin("charge", "other")).contains("`step charge, with another input`"));
    let mut journal = Journal::new([step(0, "charge", "1")]);
    assert!(error(journal.sleep("charge", DAY, NOW)).contains("is `sleep charge`"));
    let mut journal = Journal::new([step(0, "charge", "1")]);
    assert!(error(journal.wait_for("charge", "order.paid", DAY, NOW)).contains("is `wait charge`"));
    let journal = Journal::new([step(0, "charge", "1")]);
    assert!(error(journal.end()).contains("is `the end of the handler`"));
}

#[test]
fn a_sleep_is_over_when_its_time_has_come_however_often_the_handler_runs() {
    let mut journal = Journal::default();
    let Ok(Sleep::Until { until, record: Some(record) }) = journal.sleep("a day", DAY, NOW) else {
        panic!("it begins")
    };
    assert_eq!(until, later(86_400_000));
    let mut journal = Journal::new([record.clone()]);
    let again = journal.sleep("a day", DAY, later(1_000));
    assert_eq!(again, Ok(Sleep::Until { until, record: None }), "it does not begin anew");
    let mut journal = Journal::new([record]);
    assert_eq!(journal.sleep("a day", DAY, until), Ok(Sleep::Over));
    assert_eq!(journal.sleep("too long", Duration::from_secs(367 * 86_400), NOW), Err(JournalError::TooLong));
}

#[test]
fn a_wait_ends_with_the_event_or_in_time() {
    let mut journal = Journal::default();
    let Ok(Wait::Until { until, record: Some(record) }) = journal.wait_for("paid", "order.paid", DAY, NOW) else {
        panic!("it begins")
    };
    let mut journal = Journal::new([record.clone()]);
    assert_eq!(journal.wait_for("paid", "order.paid", DAY, NOW), Ok(Wait::Until { until, record: None }));
    let happened = record.happened("{}".to_owned()).expect("it is waited for");
    assert_eq!(happened.happened("[]".to_owned()), None, "the first event counts");
    let mut journal = Journal::new([happened]);
    let found = journal.wait_for("paid", "order.paid", DAY, later(2 * 86_400_000));
    assert_eq!(found, Ok(Wait::Happened("{}".to_owned())), "also if the handler comes late");
    let mut journal = Journal::new([record.clone()]);
    assert!(error(journal.wait_for("paid", "order.late", DAY, NOW)).contains("for another event"));
    let mut journal = Journal::new([record]);
    let Ok(Wait::TimedOut { record: Some(given_up) }) = journal.wait_for("paid", "order.paid", DAY, until) else {
        panic!("it is given up")
    };
    assert_eq!(given_up.happened("{}".to_owned()), None, "what comes later changes nothing");
    let mut journal = Journal::new([given_up]);
    assert_eq!(journal.wait_for("paid", "order.paid", DAY, NOW), Ok(Wait::TimedOut { record: None }));
}

#[test]
fn names_steps_and_outcomes_are_bounded() {
    let mut journal = Journal::default();
    for name in ["", "a\n", &"a".repeat(NAME_BYTES_MAX + 1)] {
        assert_eq!(journal.begin(name, "hash"), Err(JournalError::InvalidName));
    }
    for position in 0..STEPS_MAX {
        assert_eq!(journal.begin("step", "hash"), Ok(Begin::Run { position }));
    }
    assert_eq!(journal.begin("step", "hash"), Err(JournalError::TooManySteps));
    assert_eq!(journal.finish(STEPS_MAX, String::new()).err(), Some(JournalError::NotRunning { position: STEPS_MAX }));
    let large = "x".repeat(OUTCOME_BYTES_MAX);
    assert_eq!(journal.finish(0, format!("{large}x")).err(), Some(JournalError::OutcomeTooLarge));
    let written = (0..STEPS_MAX).take_while(|position| journal.finish(*position, large.clone()).is_ok()).count();
    assert_eq!(written, JOURNAL_BYTES_MAX / OUTCOME_BYTES_MAX - 1, "with their names the last does not fit");
    let refused = u32::try_from(written).expect("few");
    assert_eq!(journal.finish(refused, large).err(), Some(JournalError::JournalTooLarge));
    assert!(journal.finish(refused, "1".to_owned()).is_ok(), "a smaller one does");
    assert_eq!(journal.finish(0, "1".to_owned()).err(), Some(JournalError::NotRunning { position: 0 }));
}

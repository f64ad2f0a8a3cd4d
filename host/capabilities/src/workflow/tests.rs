//! Tests of grants, of the context, and of the journal in memory.

use super::backend::{Journal, JournalHandle};
use super::context::{BegunStep, WorkflowContext};
use super::contract::{Answer, ErrorCode, StepReply};
use super::grant::{AMOUNTS, WorkflowGrant};
use super::memory::MemoryJournal;
use crate::trigger::{Clock, Pending};
use elias_host::capability::CallMeter;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The journal of a job whose time tests move.
struct TestJob {
    journal: Arc<MemoryJournal>,
    time: Arc<AtomicU64>,
}

impl TestJob {
    fn new() -> Self {
        let time = Arc::new(AtomicU64::new(1_000));
        let told = Arc::clone(&time);
        let journal = Arc::new(MemoryJournal::new(Clock::new(move || told.load(Ordering::Relaxed))));
        Self { journal, time }
    }

    /// An execution of it.
    fn run(&self) -> WorkflowContext {
        self.run_with(WorkflowGrant::default())
    }

    fn run_with(&self, grant: WorkflowGrant) -> WorkflowContext {
        let handle = JournalHandle::new("job-1", Arc::clone(&self.journal) as Arc<dyn Journal>);
        WorkflowContext::new(Some(handle), Arc::new(grant), CallMeter::default())
    }
}

fn reply(mut pending: Pending<StepReply>) -> Result<Answer, ErrorCode> {
    pending.take().expect("it was not taken").expect("it is there").map_err(|error| error.code)
}

fn begin(context: &mut WorkflowContext, name: &str) -> Result<Answer, ErrorCode> {
    reply(context.begin(name.to_owned(), "h".to_owned()))
}

fn finish(context: &WorkflowContext, position: u32, outcome: &str) -> Result<Answer, ErrorCode> {
    reply(context.finish(position, outcome.to_owned()))
}

fn sleep(context: &mut WorkflowContext, ms: u64) -> Result<Answer, ErrorCode> {
    reply(context.sleep("nap".to_owned(), ms))
}

fn wait_for(context: &mut WorkflowContext, filter: &str, timeout_ms: Option<u64>) -> Result<Answer, ErrorCode> {
    reply(context.wait_for("paid".to_owned(), "order.paid".to_owned(), filter.to_owned(), timeout_ms))
}

#[test]
fn a_grant_has_defaults_and_bounds() {
    let grant = WorkflowGrant::read(Some(&json!({}))).expect("all keys have defaults");
    assert_eq!((grant.steps, grant.outcome_bytes, grant.wait_ms), (1_000, 128 << 10, 2_592_000_000));
    for amount in AMOUNTS {
        assert!(WorkflowGrant::read(Some(&json!({ amount.key: amount.ceiling }))).is_ok(), "{}", amount.key);
        let refused = WorkflowGrant::read(Some(&json!({ amount.key: 0 }))).expect_err("it is none");
        assert!(refused.to_string().starts_with(amount.key), "{refused}");
    }
    assert!(WorkflowGrant::read(Some(&json!({ "outcome-bytes": 2 << 20 }))).is_err());
    assert!(WorkflowGrant::read(None).is_err());
}

#[test]
fn what_is_neither_a_job_nor_an_event_has_no_journal() {
    let mut context = WorkflowContext::new(None, Arc::new(WorkflowGrant::default()), CallMeter::default());
    assert_eq!(begin(&mut context, "charge"), Err(ErrorCode::NotInAJob));
    assert_eq!(finish(&context, 0, "1"), Err(ErrorCode::NotInAJob));
    assert_eq!(sleep(&mut context, 1), Err(ErrorCode::NotInAJob));
    assert_eq!(wait_for(&mut context, "{}", None), Err(ErrorCode::NotInAJob));
}

#[test]
fn a_step_that_was_finished_answers_from_the_journal() {
    let job = TestJob::new();
    let mut first = job.run();
    assert_eq!(begin(&mut first, "charge"), Ok(Answer::Run(0)));
    assert_eq!(finish(&first, 0, "\"paid\""), Ok(Answer::Finished));
    // Several steps may share a name, and be under way at once.
    assert_eq!(begin(&mut first, "mail"), Ok(Answer::Run(1)));
    assert_eq!(begin(&mut first, "mail"), Ok(Answer::Run(2)));
    assert_eq!(finish(&first, 2, "2"), Ok(Answer::Finished));
    let mut second = job.run();
    assert_eq!(begin(&mut second, "charge"), Ok(Answer::Recorded("\"paid\"".to_owned())));
    assert_eq!(begin(&mut second, "mail"), Ok(Answer::Run(1)));
    assert_eq!(begin(&mut second, "mail"), Ok(Answer::Recorded("2".to_owned())));
    // The first outcome stands.
    assert_eq!(finish(&second, 2, "3"), Ok(Answer::Finished));
    let mut third = job.run();
    let answers = ["charge", "mail", "mail"].map(|name| begin(&mut third, name).expect("it is begun"));
    let recorded = |outcome: &str| Answer::Recorded(outcome.to_owned());
    assert_eq!(answers, [recorded("\"paid\""), Answer::Run(1), recorded("2")]);
}

#[test]
fn a_step_that_is_not_where_it_was_is_named_with_the_one_that_is() {
    let job = TestJob::new();
    begin(&mut job.run(), "charge").expect("it is begun");
    let refused = job.run().begin("ship".to_owned(), "h".to_owned()).take().expect("it was not taken");
    let refused = refused.expect("it is there").expect_err("it is another");
    assert_eq!(refused.code, ErrorCode::NondeterministicStep);
    assert!(refused.message.contains("\"ship\"") && refused.message.contains("\"charge\""), "{}", refused.message);
    assert_eq!(sleep(&mut job.run(), 1), Err(ErrorCode::NondeterministicStep));
    let other_input = reply(job.run().begin("charge".to_owned(), "other".to_owned()));
    assert_eq!(other_input, Err(ErrorCode::NondeterministicStep));
    assert_eq!(begin(&mut job.run(), "charge"), Ok(Answer::Run(0)));
}

#[test]
fn a_sleep_lasts_from_when_it_was_first_asked_for() {
    let job = TestJob::new();
    assert_eq!(sleep(&mut job.run(), 500), Ok(Answer::Wait));
    let waits = job.journal.waits();
    assert_eq!((waits.len(), waits[0].position, waits[0].until, &waits[0].event), (1, 0, Some(1_500), &None));
    job.time.store(1_499, Ordering::Relaxed);
    assert_eq!(sleep(&mut job.run(), 500), Ok(Answer::Wait));
    job.time.store(1_500, Ordering::Relaxed);
    assert_eq!(sleep(&mut job.run(), 500), Ok(Answer::Elapsed));
    // A clock that is set back does not make it sleep again.
    job.time.store(0, Ordering::Relaxed);
    assert_eq!(sleep(&mut job.run(), 500), Ok(Answer::Elapsed));
    assert!(job.journal.waits().is_empty());
}

#[test]
fn a_wait_ends_with_the_event_or_the_time() {
    let job = TestJob::new();
    let mut first = job.run();
    assert_eq!(wait_for(&mut first, r#"{"data.id":1}"#, Some(500)), Ok(Answer::Wait));
    assert_eq!(wait_for(&mut first, "{}", None), Ok(Answer::Wait));
    assert_eq!(wait_for(&mut first, "{}", Some(100)), Ok(Answer::Wait));
    let waits = job.journal.waits();
    assert_eq!(waits.iter().map(|wait| wait.until).collect::<Vec<_>>(), [Some(1_500), None, Some(1_100)]);
    let event = waits[0].event.as_ref().expect("it waits for one");
    assert_eq!((event.event_type.as_str(), event.filter.as_str()), ("order.paid", r#"{"data.id":1}"#));
    assert!(job.journal.happened(0, "{}".to_owned()));
    assert!(!job.journal.happened(0, "{}".to_owned()), "it is over");
    assert!(!job.journal.happened(9, "{}".to_owned()), "there is none");
    job.time.store(9_000, Ordering::Relaxed);
    let mut second = job.run();
    assert_eq!(wait_for(&mut second, r#"{"data.id":1}"#, Some(500)), Ok(Answer::Happened("{}".to_owned())));
    assert_eq!(wait_for(&mut second, "{}", None), Ok(Answer::Wait));
    assert_eq!(wait_for(&mut second, "{}", Some(100)), Ok(Answer::TimedOut));
    assert!(!job.journal.happened(2, "{}".to_owned()), "it is too late");
}

#[test]
fn what_a_step_may_be_is_bounded() {
    let job = TestJob::new();
    let mut context = job.run_with(WorkflowGrant { steps: 2, outcome_bytes: 10, wait_ms: 1_000 });
    assert_eq!(begin(&mut context, ""), Err(ErrorCode::Invalid));
    assert_eq!(begin(&mut context, &"a".repeat(257)), Err(ErrorCode::Invalid));
    assert_eq!(reply(context.begin("a".to_owned(), "h".repeat(65))), Err(ErrorCode::Invalid));
    assert_eq!(sleep(&mut context, 1_001), Err(ErrorCode::Invalid));
    assert_eq!(wait_for(&mut context, "[]", None), Err(ErrorCode::Invalid));
    assert_eq!(wait_for(&mut context, &format!("{{{}}}", " ".repeat(8 << 10)), None), Err(ErrorCode::Invalid));
    assert_eq!(wait_for(&mut context, "{}", Some(1_001)), Err(ErrorCode::Invalid));
    assert_eq!(finish(&context, 0, "1"), Err(ErrorCode::Invalid));
    // A refused step has no position.
    assert_eq!(begin(&mut context, "a"), Ok(Answer::Run(0)));
    assert_eq!(finish(&context, 0, "12345678901"), Err(ErrorCode::TooLarge));
    assert_eq!(sleep(&mut context, 1_000), Ok(Answer::Wait));
    assert_eq!(finish(&context, 1, "1"), Err(ErrorCode::Invalid), "a sleep has no outcome");
    assert_eq!(begin(&mut context, "b"), Err(ErrorCode::QuotaExceeded));
}

#[test]
fn a_step_of_a_transaction_is_one_that_was_begun() {
    let job = TestJob::new();
    let mut context = job.run_with(WorkflowGrant { outcome_bytes: 10, ..WorkflowGrant::default() });
    let step = |position, name: &str, input_hash: &str| BegunStep {
        position,
        name: name.to_owned(),
        input_hash: input_hash.to_owned(),
    };
    let check = |context: &WorkflowContext, step: BegunStep, outcome: &str| {
        context.check_in(&step, outcome).map(|(journal, _)| journal.id().to_owned()).map_err(|error| error.code)
    };
    assert_eq!(check(&context, step(0, "charge", "h"), ""), Err(ErrorCode::Invalid));
    assert_eq!(begin(&mut context, "charge"), Ok(Answer::Run(0)));
    assert_eq!(check(&context, step(0, "charge", "h"), ""), Ok("job-1".to_owned()));
    assert_eq!(check(&context, step(0, "", "h"), ""), Err(ErrorCode::Invalid));
    assert_eq!(check(&context, step(0, "charge", &"h".repeat(65)), ""), Err(ErrorCode::Invalid));
    assert_eq!(check(&context, step(0, "charge", "h"), "12345678901"), Err(ErrorCode::TooLarge));
    let other = WorkflowContext::new(None, Arc::new(WorkflowGrant::default()), CallMeter::default());
    assert_eq!(check(&other, step(0, "charge", "h"), ""), Err(ErrorCode::NotInAJob));
}

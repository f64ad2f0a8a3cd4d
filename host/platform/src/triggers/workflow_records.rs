//! Jobs with steps, shown as workflows.

use super::step_records::{ROWS_OF_STEP, step_records};
use elias_api::{JobRecord, JobState, StepKind, StepRecord, StepState, WorkflowRecord, WorkflowState};
use elias_store::ListedStep;

/// The workflow of a job, from the rows of its last step; `now` is the time in milliseconds since 1970.
pub(crate) fn workflow_record(job: JobRecord, last: Vec<ListedStep>, now: i64) -> WorkflowRecord {
    let step_count = last.last().map_or(0, |row| (row.position / ROWS_OF_STEP).saturating_add(1));
    let last_step = step_records(last, 1, now).pop();
    let state = state(&job, last_step.as_ref());
    let is_timed = matches!(state, WorkflowState::Sleeping | WorkflowState::Waiting | WorkflowState::Retrying);
    let wait = last_step.as_ref().filter(|_| state == WorkflowState::Waiting);
    WorkflowRecord {
        id: job.id,
        queue: job.queue,
        state,
        until: job.due.filter(|_| is_timed),
        waits_for: wait.and_then(|step| step.waits_for.clone()),
        step_count,
        last_step,
        attempt: job.attempt,
        version: job.version,
        enqueued_at: job.enqueued_at,
        finished_at: job.finished_at,
        error: job.error,
    }
}

fn state(job: &JobRecord, last: Option<&StepRecord>) -> WorkflowState {
    match (job.state, job.waits_for.as_deref()) {
        (JobState::Leased, _) => WorkflowState::Running,
        (JobState::Done, _) => WorkflowState::Done,
        (JobState::Dead, _) => WorkflowState::Failed,
        (JobState::Cancelled, _) => WorkflowState::Cancelled,
        (JobState::Waiting, Some("event")) => WorkflowState::Waiting,
        (JobState::Waiting, Some("time")) => {
            // The error of an attempt stays with the job while a later one sleeps.
            let sleeps = last.is_some_and(|step| step.kind == StepKind::Sleep && step.state == StepState::Waiting);
            if job.error.is_some() && !sleeps { WorkflowState::Retrying } else { WorkflowState::Sleeping }
        }
        (JobState::Ready | JobState::Waiting, _) => WorkflowState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::{JobTrigger, QueueId};
    use elias_names::Environment;

    fn job(state: JobState, waits_for: Option<&str>, error: Option<&str>) -> JobRecord {
        JobRecord {
            id: "01A".to_owned(),
            queue: QueueId {
                component: "shop".parse().expect("a name"),
                environment: Environment::Production,
                trigger: JobTrigger::Job,
                name: "order".to_owned(),
            },
            state,
            key: None,
            ordering_key: None,
            concurrency_key: None,
            input: "{}".to_owned(),
            priority: 0,
            attempt: 2,
            version: Some(3),
            cause: None,
            replayed_by: None,
            hops: 0,
            enqueued_at: 0,
            waits_for: waits_for.map(str::to_owned),
            due: Some(90),
            cancelling: false,
            result: None,
            error: error.map(str::to_owned),
            finished_at: None,
        }
    }

    fn row(position: u32, outcome: &str) -> ListedStep {
        ListedStep { position, name: "n".to_owned(), outcome: outcome.to_owned(), at: 5 }
    }

    #[test]
    fn the_state_is_that_of_the_job_and_its_last_step() {
        use WorkflowState::{Cancelled, Done, Failed, Ready, Retrying, Running, Sleeping, Waiting};
        let (step, sleep) = (r#"{"step":"{\"value\":1}"}"#, r#"{"sleep":90}"#);
        let wait = r#"{"wait":{"wanted":"order.paid {}","until":90,"after":1}}"#;
        for (state, waits_for, error, last, expected) in [
            (JobState::Ready, None, None, step, Ready),
            (JobState::Leased, None, Some("no"), step, Running),
            (JobState::Waiting, Some("time"), None, sleep, Sleeping),
            (JobState::Waiting, Some("time"), Some("no"), sleep, Sleeping),
            (JobState::Waiting, Some("time"), Some("no"), step, Retrying),
            (JobState::Waiting, Some("event"), None, wait, Waiting),
            (JobState::Waiting, Some("order"), Some("no"), step, Ready),
            (JobState::Done, None, None, step, Done),
            (JobState::Dead, None, Some("no"), step, Failed),
            (JobState::Cancelled, None, Some("no"), wait, Cancelled),
        ] {
            let found = workflow_record(job(state, waits_for, error), vec![row(4, last)], 50);
            assert_eq!((found.state, found.step_count), (expected, 3), "{state:?} {waits_for:?} {error:?}");
            let is_until = matches!(expected, Sleeping | Waiting | Retrying);
            assert_eq!(found.until, is_until.then_some(90), "{expected:?}");
            let waits_for = (expected == Waiting).then_some("order.paid {}");
            assert_eq!(found.waits_for.as_deref(), waits_for, "{expected:?}");
        }
    }

    #[test]
    fn the_end_of_a_wait_is_part_of_the_last_step() {
        let rows = vec![row(2, r#"{"wait":{"wanted":"a {}","until":90,"after":1}}"#), row(3, r#"{"happened":"{}"}"#)];
        let found = workflow_record(job(JobState::Ready, None, None), rows, 50);
        assert_eq!((found.step_count, found.last_step.map(|step| step.state)), (2, Some(StepState::Done)));
        let later = workflow_record(job(JobState::Leased, None, None), vec![row(0, r#"{"later":1}"#)], 50);
        assert_eq!((later.step_count, later.last_step), (1, None));
    }
}

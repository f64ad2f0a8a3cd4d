//! The statements that run all the time, for the test that each finds its rows by an index.

use super::{batches, events, finish, jobs, queue, schedules, segments, steps, waiting, workflows};
use crate::tests::plans::Value;
use crate::{AFTER_IDS, Dialect};

pub(crate) use queue::{known_queues, ready_queues};
pub(crate) use segments::EVENT_TABLES;

/// The statements, with values for their parameters.
pub(crate) fn hot_statements(dialect: Dialect) -> Vec<(String, Vec<Value>)> {
    use Value::{Items, Number, Text};
    let (tenant, name) = (Text("a"), Text("shop/production/job/q1"));
    let service = [tenant, Text("shop"), Text("production"), Text("n")];
    let with = |values: &[Value]| [&service[..], values].concat();
    let claim = [tenant, name, Number(50), Text("me"), Number(1_000), Number(0)];
    let mut all = vec![
        (queue::ready_queues(dialect), vec![]),
        (queue::known_queues(dialect), vec![Items]),
        (queue::LEASED_QUEUES.to_owned(), vec![Number(1)]),
        (batches::ready_counts(dialect), vec![Items]),
        (queue::claim_jobs(dialect), claim.to_vec()),
        (queue::claim_keyed(dialect), [&claim[..], &[Number(2)]].concat()),
        (queue::claim_by_key(dialect), [&claim[..], &[Number(2)]].concat()),
        (queue::expire_jobs(dialect), vec![Number(50)]),
        (queue::extend_jobs(dialect), vec![Items, Text("me"), Number(1_000)]),
        (finish::owned_jobs(dialect, dialect.locked()), vec![Items, Text("me")]),
        (finish::finish_jobs(dialect, "jobs"), vec![Items]),
        (finish::suspend_jobs(dialect), vec![Items]),
        (waiting::due_jobs(dialect), vec![Number(50)]),
        (waiting::next_turns(dialect), vec![Items]),
        (waiting::EVENT_WAITS.to_owned(), vec![tenant, Text(""), Number(50)]),
        (steps::JOURNAL.to_owned(), vec![tenant, Text("1")]),
        (steps::list_steps(), vec![tenant, Text("1"), Number(0), Number(50)]),
        (steps::last_steps(dialect), vec![tenant, Items, Number(2)]),
        (steps::delete_steps(dialect), vec![Items]),
        (steps::cut_steps(dialect), vec![Items]),
        (steps::SURPLUS_STEPS.to_owned(), vec![Number(10), Number(1_000)]),
        (workflows::JOBS_WITH_STEPS.to_owned(), vec![tenant, Text("500"), Number(50)]),
        (steps::PRUNE_STEPS.to_owned(), vec![tenant, Text("500"), Number(50)]),
        (jobs::outdated_jobs(dialect), vec![Number(50)]),
        (jobs::ended_jobs(dialect), vec![tenant, Number(50)]),
        (schedules::due_schedules(dialect), vec![Number(50)]),
        (schedules::UNARMED.to_owned(), vec![Number(50)]),
        (schedules::upcoming_due(dialect), vec![Number(10)]),
        (schedules::LAST_TICKS.to_owned(), with(&[Number(i64::MAX), Number(50)])),
        (schedules::PRUNE_TICKS.to_owned(), vec![Number(10), Number(50)]),
        (segments::TENANT_LOG.to_owned(), vec![tenant]),
        (segments::CURRENT_SEGMENT.to_owned(), vec![tenant]),
        (events::known_events(dialect), vec![tenant, Items]),
        ("DELETE FROM executions WHERE started_at < $1".to_owned(), vec![Number(10)]),
        (crate::executions::PRUNE_EXECUTIONS.to_owned(), vec![Number(10)]),
        (crate::executions::list_executions(true, ""), executions_of_a_trace()),
    ];
    if dialect == Dialect::Postgres {
        all.push((finish::end_jobs(), vec![Items, Text("me")]));
    }
    for segment in 0..EVENT_TABLES {
        let range = [tenant, Number(10), Number(i64::MAX)];
        all.push((events::read_events(segment), [&range[..], &[Number(50)]].concat()));
        all.push((events::first_event(segment), range.to_vec()));
        all.push((events::sum_events(segment), vec![tenant, Number(10), Number(20)]));
    }
    let listed = [tenant, Text(AFTER_IDS), Text(""), Text(""), Text(""), Text(""), Items];
    let with_steps = workflows::is_one_of_these(dialect, &crate::AllowedServices::All);
    let of_table = |table| jobs::list_jobs(table, &elias_api::JobFilter::default(), &with_steps);
    all.extend(jobs::TABLES.iter().map(|table| (of_table(table), listed.to_vec())));
    all.extend(jobs::UNFINISHED_OF.map(|sql| (sql.to_owned(), vec![tenant, name, Number(50)])));
    all
}

/// The index that finds the executions of a trace.
pub(crate) const TRACE_INDEX: &str = "executions_by_trace";

fn executions_of_a_trace() -> Vec<Value> {
    use Value::{Number, Text};
    let (all, trace) = (Text(""), Text("trace-7"));
    vec![Text("a"), Text(AFTER_IDS), all, all, Number(-1), Number(50), all, trace]
}

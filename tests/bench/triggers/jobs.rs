//! Jobs: how many are run a second, how long they wait for their start, and what a durable step costs.

use super::queue::Queue;
use super::{COMPONENT, Subject};
use crate::parameters::number_of;
use crate::report::Report;
use elias_tests::tenant::{Tenant, service};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Jobs that are run for each rate.
pub(super) const JOBS: u64 = 20_000;
/// Jobs of another tenant that are ready.
const JOBS_WAITING: u64 = 100_000;
/// Steps that are timed one after another.
const STEPS: u64 = 300;
/// Jobs a second that are enqueued: the first of these rates that the machine carries counts.
const RATES: [u32; 3] = [1_000, 500, 250];
/// For how many seconds, and how many requests that enqueue may be unanswered.
const STEADY_SECONDS: u32 = 10;
const UNANSWERED_MAX: usize = 256;
/// Jobs a second that are enqueued beside another tenant's, and for how many seconds.
const BESIDE_RATE: u32 = 50;
const BESIDE_SECONDS: u32 = 10;
/// Seconds for which a transaction is held open.
const HELD_SECONDS: u64 = 30;
/// Jobs that are ready while throughput is measured over a time, at least.
const READY: u64 = 2_000;
/// How often the store is asked how many jobs are left.
const LOOK: Duration = Duration::from_millis(10);

/// Stops or starts the component.
async fn set_running(team: &Tenant<'_>, is_running: bool) {
    let action = if is_running { "/start" } else { "/stop" };
    team.done("POST", &service(COMPONENT, "production", action), Value::Null).await;
}

/// Waits until no job is left.
async fn drained(queue: &Queue) {
    while queue.unfinished().await > 0 {
        sleep(LOOK).await;
    }
}

/// Enqueues jobs of a kind while the component is stopped.
async fn prepare(team: &Tenant<'_>, queue: &Queue, kind: &str, jobs: u64) {
    set_running(team, false).await;
    queue.fill(kind, jobs).await;
}

/// Jobs of a kind that the platform runs a second, of those that are ready when it begins.
async fn rate(team: &Tenant<'_>, queue: &Queue, kind: &str, jobs: u64) -> f64 {
    prepare(team, queue, kind, jobs).await;
    set_running(team, true).await;
    // The platform may look for jobs a moment later.
    let mut left = queue.unfinished().await;
    while left == jobs {
        sleep(LOOK).await;
        left = queue.unfinished().await;
    }
    let started = Instant::now();
    drained(queue).await;
    left as f64 / started.elapsed().as_secs_f64()
}

/// Jobs that do nothing against the bare statements on the same database; gives how many were run a second.
pub(super) async fn throughput(subject: &Subject<'_>, report: &mut Report) -> f64 {
    let (team, jobs) = (subject.platform.default_tenant(), number_of("JOBS", JOBS));
    let queue = subject.queue(&team);
    rate(&team, &queue, "nothing", jobs / 10).await; // instances are there, statements prepared
    prepare(&team, &queue, "nothing", jobs).await;
    let bare = queue.run_bare("nothing", 1).await;
    let ours = rate(&team, &queue, "nothing", jobs).await;
    let (database, ratio) = (subject.database, ours / bare);
    report.row(
        &format!("{jobs} jobs that do nothing, {database}: a platform against the statements alone, 50 jobs a commit"),
        &format!("{ratio:.2}x ({ours:.0}/s against {bare:.0}/s)"),
        "0.60x",
        Some(ratio >= 0.6),
    );
    if subject.url.is_some() {
        prepare(&team, &queue, "nothing", jobs).await;
        let four = queue.run_bare("nothing", 4).await;
        set_running(&team, true).await;
        report.row(&format!("the same statements by four clients, {database}"), &format!("{four:.0}/s"), "", None);
    }
    ours
}

/// The cost that a durable step adds to a job: when many run, and when one runs alone. `plain` is how many jobs without
/// a step were run a second.
pub(super) async fn steps(subject: &Subject<'_>, plain: f64, report: &mut Report) {
    let (team, jobs) = (subject.platform.default_tenant(), number_of("JOBS", JOBS));
    let queue = subject.queue(&team);
    let stepped = rate(&team, &queue, "stepped", jobs / 2).await;
    let more = 1e3 / stepped - 1e3 / plain;
    let database = subject.database;
    report.row(
        &format!("a durable step, {database}: time a job more than without, when many run"),
        &format!("{more:.2} ms ({stepped:.0} jobs/s against {plain:.0}/s)"),
        "1 ms",
        Some(more <= 1.0),
    );
    queue.fill("step-time", STEPS).await;
    drained(&queue).await;
    let (p50, p99) = percentiles(queue.results("step-time").await);
    report.row(
        &format!("a durable step, {database}: its time in a job that runs alone, with one synced commit"),
        &format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
        "",
        None,
    );
}

/// Enqueues jobs at a steady rate, each by a request of its own, and waits until all were run; gives the rate that was
/// reached and the milliseconds from enqueue to start of each.
async fn enqueue_steadily(
    team: &Tenant<'_>,
    queue: &Queue,
    kind: &str,
    per_second: u32,
    seconds: u32,
) -> (f64, Vec<f64>) {
    let (path, count) = (format!("/?name={kind}"), per_second * seconds);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let (mut unanswered, mut sent, started) = (FuturesUnordered::new(), 0, Instant::now());
    while sent < count {
        tokio::select! {
            _ = ticks.tick(), if unanswered.len() < UNANSWERED_MAX => {
                unanswered.push(team.get(COMPONENT, &path));
                sent += 1;
            }
            Some(answer) = unanswered.next() => assert_eq!(answer.status, 200, "{answer:?}"),
        }
    }
    let reached = f64::from(count) / started.elapsed().as_secs_f64();
    while let Some(answer) = unanswered.next().await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drained(queue).await;
    (reached, queue.results(kind).await)
}

/// How long a job waits for its start at a steady rate.
pub(super) async fn time_to_start(subject: &Subject<'_>, report: &mut Report) {
    let team = subject.platform.default_tenant();
    let queue = subject.queue(&team);
    for per_second in RATES {
        let kind = format!("timed-{per_second}");
        let (reached, times) = enqueue_steadily(&team, &queue, &kind, per_second, STEADY_SECONDS).await;
        let (p50, p99) = percentiles(times);
        let is_carried = reached >= 0.95 * f64::from(per_second) && p50 < 100.0;
        let database = subject.database;
        report.row(
            &format!("from a job's enqueue to its start at {per_second}/s, {database}"),
            &format!("p50 {p50:.0} ms, p99 {p99:.0} ms ({reached:.0}/s were enqueued)"),
            "p50 5 ms, p99 25 ms, at 1000/s",
            Some(is_carried && per_second == RATES[0] && p50 <= 5.0 && p99 <= 25.0),
        );
        if is_carried {
            break;
        }
    }
}

/// How long the jobs of a tenant wait for their start while another one has many that are ready.
pub(super) async fn beside_another_tenant(subject: &Subject<'_>, report: &mut Report) {
    let waiting = number_of("JOBS_WAITING", JOBS_WAITING);
    let team = subject.platform.default_tenant();
    let other = subject.platform.new_tenant("other", json!({})).await;
    subject.serve(&other).await;
    let (queue, others) = (subject.queue(&team), subject.queue(&other));
    prepare(&other, &others, "nothing", waiting).await;
    set_running(&other, true).await;
    let (_, times) = enqueue_steadily(&team, &queue, "beside", BESIDE_RATE, BESIDE_SECONDS).await;
    let left = others.unfinished().await;
    set_running(&other, false).await;
    let ((p50, p99), database) = (percentiles(times), subject.database);
    report.row(
        &format!("from a job's enqueue to its start while another tenant has {waiting} jobs ready, {database}"),
        &format!("p50 {p50:.0} ms, p99 {p99:.0} ms ({left} were left)"),
        "p99 100 ms",
        Some(p99 <= 100.0 && left > 0),
    );
}

/// Jobs that do nothing a second over a time, with enough of them ready.
async fn rate_for(queue: &Queue, time: Duration) -> f64 {
    let (started, mut all) = (Instant::now(), queue.unfinished().await);
    loop {
        let left = queue.unfinished().await;
        let seconds = started.elapsed();
        if seconds >= time {
            return all.saturating_sub(left) as f64 / seconds.as_secs_f64();
        }
        if left < READY {
            queue.fill("nothing", READY).await;
            all += READY;
        } else {
            sleep(LOOK).await;
        }
    }
}

/// Throughput while a transaction is open that keeps PostgreSQL from clearing away what was deleted, against before.
pub(super) async fn transaction_held_open(subject: &Subject<'_>, report: &mut Report) {
    let Some(url) = subject.url else { return };
    let time = Duration::from_secs(number_of("HELD_SECONDS", HELD_SECONDS));
    let team = subject.platform.default_tenant();
    let queue = subject.queue(&team);
    rate_for(&queue, time / 10).await;
    let before = rate_for(&queue, time).await;
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it is up");
    let connection = tokio::spawn(connection);
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM leases";
    client.batch_execute(begin).await.expect("a transaction");
    let during = rate_for(&queue, time).await;
    client.batch_execute("COMMIT").await.expect("it is still open");
    drop(client);
    connection.await.expect("no panic").expect("it ends well");
    drained(&queue).await;
    let ratio = during / before;
    report.row(
        &format!("jobs that do nothing, PostgreSQL: a transaction held open for {} s against before", time.as_secs()),
        &format!("{ratio:.2}x ({during:.0}/s against {before:.0}/s)"),
        "0.80x",
        Some(ratio >= 0.8),
    );
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied().unwrap_or(f64::NAN);
    (at(50), at(99))
}

//! Triggers for a long time: schedules that are watched for a minute, and hosts that are killed again and again while
//! jobs run: `JOBS` (2,000) during `KILLS` (10).

use crate::parameters::number_of;
use crate::report::Report;
use elias_api::{JobFilter, JobState, TickOutcome};
use elias_delivery::clock::Now;
use elias_names::{Environment, ServiceId, TenantId};
use elias_store::{AllowedServices, ScheduleId, Store};
use elias_tests::build::component;
use elias_tests::platform::Platform;
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use elias_triggers::schedule::Recurrence;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const JOBS: u64 = 2_000;
const KILLS: u64 = 10;
/// Jobs that one request enqueues, and those that run at a time.
const ENQUEUED: u64 = 100;
const CONCURRENCY: u64 = 8;
/// Jobs that may be left when the next host is killed, or twice as many as were enqueued since the last one: so kills
/// are spread over all jobs.
const LEFT: u64 = 2_000;
/// Records of jobs that are read at a time.
const PAGE: u32 = 10_000;
/// For how long the number of jobs that are not finished may stay the same: leases last 30 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the schedule is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// Each job does three steps, which write its key: into a table that takes it any number of times, into one that takes
/// it once, and, as a transaction, into one that takes it any number of times.
const SOURCE: &str = r#"
    import { db } from "elias/db";
    import { jobs } from "elias/jobs";
    import { step } from "elias/workflow";
    export default {
        async fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            if (pathname === "/tables") {
                await db.query("create table if not exists effects (job text not null)");
                await db.query("create table if not exists effects_once (job text primary key)");
                await db.query("create table if not exists effects_in (job text not null)");
            }
            if (pathname === "/enqueue") {
                const first = Number(searchParams.get("first"));
                const keys = Array.from({ length: Number(searchParams.get("count")) }, (_, at) => `k${first + at}`);
                await Promise.all(keys.map((key) => jobs.enqueue("write", null, { key })));
            }
            if (pathname === "/effects") {
                const all = await db.first("select count(*) as done, count(distinct job) as jobs from effects");
                const once = await db.first("select count(*) as jobs from effects_once");
                const within = await db.first("select count(*) as done, count(distinct job) as jobs from effects_in");
                return Response.json([all.done, all.jobs, once.jobs, within.done, within.jobs].map(Number));
            }
            return new Response("done");
        },
        async job({ key }) {
            await step("effect", async () => {
                await db.query("insert into effects (job) values ($1)", key);
            });
            await step("once", async () => {
                await db.query("insert into effects_once (job) values ($1) on conflict do nothing", key);
            });
            await step.transaction("transaction", async (tx) => {
                await tx.query("insert into effects_in (job) values ($1)", key);
            });
            return key;
        },
    };
"#;

pub(crate) fn run(report: &mut Report) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        minute(report).await;
        let component = component(SOURCE);
        let mut host = [start(&[])];
        serve(&host[0].default_tenant(), &component, json!({})).await;
        kills(&mut host, None, "default", report).await;
        drop(host);

        let postgres = Postgres::start();
        let url = postgres.url();
        let mut hosts = [start(&["--store", &url]), start(&["--store", &url])];
        let acme = hosts[0].new_tenant("acme", json!({ "trusted": true })).await;
        // Each host has artifacts of its own.
        tenant(&hosts[1], "acme").upload(&component).await;
        serve(&acme, &component, json!({ "backend": "postgres", "url": url })).await;
        kills(&mut hosts, Some(&url), "acme", report).await;
    });
}

fn start(flags: &[&str]) -> Platform {
    Platform::start_with(flags, &[("ELIAS_LOG", "off".to_owned())])
}

/// A tenant that is there, as one of the hosts serves it.
fn tenant<'p>(host: &'p Platform, name: &str) -> Tenant<'p> {
    let mut tenant = host.default_tenant();
    name.clone_into(&mut tenant.name);
    tenant
}

async fn serve(team: &Tenant<'_>, component: &[u8], db: Value) {
    let retry = json!({ "attempts": 100, "first": "100ms", "max": "1s" });
    let settings = json!({
        "capabilities": { "db": db, "jobs": {}, "workflow": {} },
        "smoke": { "path": "" },
        "triggers": { "jobs": { "write": { "concurrency": CONCURRENCY, "retry": retry } } },
    });
    team.serve("shop", component, settings).await;
    wait_for(team, "/tables").await;
}

/// The response of a host, once it serves the component.
async fn wait_for(team: &Tenant<'_>, path: &str) -> String {
    let started = Instant::now();
    loop {
        let answer = team.get("shop", path).await;
        if answer.status == 200 {
            return answer.body;
        }
        assert!(started.elapsed() < PATIENCE, "{path}: {answer:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Kills the hosts in turn while the jobs run that they were given before, and counts what was lost and done twice.
async fn kills(hosts: &mut [Platform], url: Option<&str>, name: &str, report: &mut Report) {
    let (wanted, kills) = (number_of("JOBS", JOBS), number_of("KILLS", KILLS).max(1));
    let store = Store::open(&hosts[0].data(""), url).expect("the platform has a store");
    let id: TenantId = name.parse().expect("a name");
    let (share, mut enqueued) = (wanted.div_ceil(kills), 0);
    for kill in 0..kills {
        let victim = usize::try_from(kill).expect("few") % hosts.len();
        let end = wanted.min(enqueued + share);
        while enqueued < end {
            let count = ENQUEUED.min(end - enqueued);
            // The host that is about to be killed acknowledges them, or the other one.
            let team =
                tenant(&hosts[(victim + usize::from(enqueued.is_multiple_of(2 * ENQUEUED))) % hosts.len()], name);
            wait_for(&team, &format!("/enqueue?first={enqueued}&count={count}")).await;
            enqueued += count;
        }
        left_at_most(&store, &id, LEFT.max(2 * share)).await;
        // Between 20 and 519 ms, each as often.
        sleep(Duration::from_millis(20 + kill * 137 % 500)).await;
        hosts[victim].restart();
    }
    let left = left_at_most(&store, &id, 0).await;
    let Finished { jobs: done, keys, again } = finished(&store, &id).await;
    let effects = wait_for(&tenant(&hosts[0], name), "/effects").await;
    let [all, jobs, once, within, jobs_within]: [u64; 5] = serde_json::from_str(&effects).expect("five numbers");

    let database = if url.is_some() { "PostgreSQL" } else { "SQLite" };
    let during = format!("kill -9, {kills} times of one of {} hosts on {database} during {wanted} jobs", hosts.len());
    let mut row = |what: &str, faults: u64, more: &str, target: &str, reached: bool| {
        report.row(&format!("{during}: {what}"), &format!("{faults}{more}"), target, Some(reached));
    };
    let keys = keys.len() as u64;
    let lost = wanted.saturating_sub(keys);
    row("jobs lost", lost, &format!(" ({left} did not end; {again} ran again after their host died)"), "0", lost == 0);
    let counter = unfinished(&hosts[0], url, name).await;
    let twice = done - keys + counter.unsigned_abs().saturating_sub(left);
    row("jobs done twice", twice, "", "0", twice == 0);
    let missing = [jobs, once, jobs_within].into_iter().map(|jobs| wanted.saturating_sub(jobs)).sum::<u64>();
    row("steps whose effect is missing", missing, "", "0", missing == 0);
    let again_within = within - jobs_within;
    row("steps in a transaction whose effect is there twice", again_within, "", "0", again_within == 0);
    // A host that dies between an effect and its record leaves the step to be done again.
    let most = kills * CONCURRENCY;
    let doubled = all - jobs;
    let target = format!("{most}: at most those that ran");
    row("steps done twice, between whose effect and record the host died", doubled, "", &target, doubled <= most);
}

/// Waits until at most so many jobs of a tenant are not finished; gives how many are not.
async fn left_at_most(store: &Store, tenant: &TenantId, most: u64) -> u64 {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        let mut scope = store.read(tenant).await.expect("a transaction");
        let left = scope.trigger_use().await.expect("a number").unfinished_jobs;
        drop(scope);
        if left != last {
            (last, since) = (left, Instant::now());
        }
        if left <= most || since.elapsed() > PATIENCE {
            return left;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The records of the jobs that are done.
#[derive(Default)]
struct Finished {
    jobs: u64,
    keys: HashSet<String>,
    /// Those that were run more than once.
    again: u64,
}

async fn finished(store: &Store, tenant: &TenantId) -> Finished {
    let mut filter = JobFilter { state: Some(JobState::Done), ..JobFilter::default() };
    let mut all = Finished::default();
    loop {
        let mut scope = store.read(tenant).await.expect("a transaction");
        let page = scope.jobs(&filter, &AllowedServices::All, PAGE).await.expect("a list");
        let Some(last) = page.last() else { return all };
        filter.before = Some(last.id.clone());
        for job in page {
            all.jobs += 1;
            all.again += u64::from(job.attempt > 1);
            all.keys.extend(job.key);
        }
    }
}

/// The store's own count of a tenant's unfinished jobs: below zero if one was ended twice.
async fn unfinished(host: &Platform, url: Option<&str>, tenant: &str) -> i64 {
    let select = "SELECT CAST(COALESCE(SUM(unfinished), 0) AS BIGINT) FROM job_counts WHERE tenant = $1";
    let Some(url) = url else {
        let file = rusqlite::Connection::open(host.data("platform.sqlite")).expect("the file is there");
        return file.query_row(select, [tenant], |row| row.get(0)).expect("a number");
    };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it is up");
    let connection = tokio::spawn(connection);
    let count = client.query_one(select, &[&tenant]).await.expect("a number").get(0);
    drop(client);
    connection.await.expect("no panic").expect("it ends well");
    count
}

/// Schedules for a minute, as the shipped binary fires them, beside what the simulated clock says is due.
async fn minute(report: &mut Report) {
    let platform = start(&[]);
    let schedules = json!([
        { "name": "every", "every": "1s", "overlap": "allow" },
        { "name": "cron", "cron": "*/5 * * * * *", "timezone": "Asia/Tashkent", "overlap": "allow" },
    ]);
    let settings = json!({ "triggers": { "schedule": schedules } });
    let team = platform.default_tenant();
    team.serve("shop", &component("export default { scheduled() {} };"), settings).await;
    sleep(WATCHED).await;
    let store = Store::open(&platform.data(""), None).expect("the platform has a store");
    let service = ServiceId {
        tenant: "default".parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: Environment::Production,
    };
    let (mut fired, mut differ, mut late) = (0, 0, Vec::new());
    for (name, recurrence, least) in [
        ("every", Recurrence::every(Duration::from_secs(1)), 58),
        ("cron", Recurrence::cron("*/5 * * * * *", "Asia/Tashkent"), 11),
    ] {
        let recurrence = recurrence.expect("a recurrence");
        let id = ScheduleId { service: service.clone(), name: name.to_owned() };
        let mut scope = store.read(&service.tenant).await.expect("a transaction");
        let ticks = scope.ticks(&id, None, 1_000).await.expect("a list");
        assert!(ticks.len() >= least, "{name}: {} ticks in a minute", ticks.len());
        // The last is the first; from there on each due time must have its tick.
        let first = ticks.last().map_or(0, |tick| tick.due);
        let before = Now::from_unix_ms(u64::try_from(first).expect("since 1970") - 1);
        let due = recurrence.next(before, ticks.len());
        for (tick, due) in ticks.iter().rev().zip(due) {
            let is_due = i64::try_from(due.unix_ms()) == Ok(tick.due);
            differ += u64::from(!is_due || tick.outcome != TickOutcome::Run);
            late.push(tick.fired_at - tick.due);
        }
        fired += ticks.len();
    }
    late.sort_unstable();
    let at = |hundredths: usize| late[late.len() * hundredths / 100];
    let (p50, p99) = (at(50), at(99));
    report.row(
        "schedules for a minute, `elias serve --platform`: ticks that the simulated clock has not, or that did not run",
        &format!("{differ} of {fired}; late p50 {p50} ms, p99 {p99} ms"),
        "0",
        Some(differ == 0),
    );
}

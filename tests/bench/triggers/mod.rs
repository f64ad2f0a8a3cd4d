//! Triggers: how many jobs a platform runs beside the bare statements of its store and beside graphile-worker, how long
//! a job waits for its start, and events.
//!
//! Every commit is synced: the PostgreSQL is one of the bench's own. `JOBS` (20,000) are run for each rate,
//! `JOBS_WAITING` (100,000) are another tenant's, and for `HELD_SECONDS` (30) a transaction is held open. The part
//! `soak-queue` has these two alone, so that they can be run with a million jobs and for ten minutes.

mod events;
mod jobs;
mod queue;
mod rival;

use crate::report::Report;
use elias_tests::build::component;
use elias_tests::platform::Platform;
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use queue::Queue;
use serde_json::{Map, Value, json};

/// The component under measurement, and the kinds of its jobs that any number of run at a time.
const COMPONENT: &str = "bench";
const KINDS: [&str; 6] = ["nothing", "stepped", "timed-1000", "timed-500", "timed-250", "beside"];

/// Jobs that do nothing, do one durable step, or tell how many milliseconds it took until they started.
const SOURCE: &str = r#"
    import { jobs } from "elias/jobs";
    import { step } from "elias/workflow";
    export default {
        async fetch(request) {
            return new Response(await jobs.enqueue(new URL(request.url).searchParams.get("name"), null));
        },
        async job(job) {
            if (job.name === "nothing") return null;
            if (job.name === "stepped") return step("one", () => 1);
            if (job.name === "step-time") {
                const began = performance.now();
                await step("one", () => 1);
                return performance.now() - began;
            }
            return Date.now() - job.enqueuedAt;
        },
    };
"#;

/// A platform with the component, on one of the two databases.
struct Subject<'p> {
    database: &'static str,
    platform: &'p Platform,
    /// The store's URL, if it is PostgreSQL.
    url: Option<&'p str>,
    component: &'p [u8],
}

impl Subject<'_> {
    /// The store of a tenant's jobs.
    fn queue(&self, team: &Tenant<'_>) -> Queue {
        Queue::open(&self.platform.data(""), self.url, &team.name)
    }

    /// Serves the component for a tenant.
    async fn serve(&self, team: &Tenant<'_>) {
        let mut kinds: Map<String, Value> =
            KINDS.iter().map(|kind| ((*kind).to_owned(), json!({ "concurrency": 200 }))).collect();
        kinds.insert("step-time".to_owned(), json!({ "concurrency": 1 }));
        let capabilities = json!({ "jobs": {}, "workflow": {} });
        let settings = json!({ "capabilities": capabilities, "smoke": { "path": "" }, "triggers": { "jobs": kinds } });
        team.serve(COMPONENT, self.component, settings).await;
    }
}

pub(crate) fn run(report: &mut Report) {
    events::matching(report);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let component = component(SOURCE);
        let platform = start(&[]);
        let subject = Subject { database: "SQLite", platform: &platform, url: None, component: &component };
        measure(&subject, report).await;
        drop(platform);

        let postgres = Postgres::start();
        let url = postgres.url();
        let platform = start(&["--store", &url]);
        let subject = Subject { database: "PostgreSQL", platform: &platform, url: Some(&url), component: &component };
        let per_second = measure(&subject, report).await;
        jobs::transaction_held_open(&subject, report).await;
        drop(platform);
        rival::graphile_worker(&url, per_second, report);
    });
}

/// A tenant beside another one's jobs, on both databases, and a transaction that is held open.
pub(crate) fn soak(report: &mut Report) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let component = component(SOURCE);
        let platform = start(&[]);
        let subject = Subject { database: "SQLite", platform: &platform, url: None, component: &component };
        subject.serve(&platform.default_tenant()).await;
        jobs::beside_another_tenant(&subject, report).await;
        drop(platform);

        let postgres = Postgres::start();
        let url = postgres.url();
        let platform = start(&["--store", &url]);
        let subject = Subject { database: "PostgreSQL", platform: &platform, url: Some(&url), component: &component };
        subject.serve(&platform.default_tenant()).await;
        jobs::beside_another_tenant(&subject, report).await;
        jobs::transaction_held_open(&subject, report).await;
    });
}

fn start(flags: &[&str]) -> Platform {
    Platform::start_with(flags, &[("ELIAS_LOG", "off".to_owned())])
}

/// All that is measured on both databases; gives how many jobs that do nothing were run a second.
async fn measure(subject: &Subject<'_>, report: &mut Report) -> f64 {
    subject.serve(&subject.platform.default_tenant()).await;
    let per_second = jobs::throughput(subject, report).await;
    jobs::steps(subject, per_second, report).await;
    jobs::time_to_start(subject, report).await;
    events::published(subject, report).await;
    jobs::beside_another_tenant(subject, report).await;
    per_second
}

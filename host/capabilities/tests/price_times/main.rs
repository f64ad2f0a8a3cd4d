//! That what a call of a host function costs and the CPU time that it takes rise alike, whoever's thread it is.
//!
//! A guest made for each function calls it with arguments of some size, many times. What the execution paid is compared
//! with the CPU time of this whole process, so that work which is handed to other threads (SQLite's, those of what is
//! done aside) counts as well. That is why no other test of this program does any work: it would be measured with it.

mod backends;
mod guest;
mod probes;

use elias_capabilities::workflow::JournalHandle;
use elias_capabilities::{Cache, Config, Crypto, Db, Events, Flags, Http, Jobs, Log, Workers, Workflow};
use elias_host::{App, CallOptions, Grants, Host, Limits, Line, LoadOptions, Observer};
use probes::Probe;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// By how much more time a unit may take at a size than at a smaller one. The sizes of a probe are further apart than
/// this, so that work which the price does not know shows, and work that grows with the square of a size even sooner.
const FACTOR: f64 = 8.0;

/// CPU time that is enough to be measured.
const ENOUGH: Duration = Duration::from_millis(50);

/// Sees the lines of the log: they are made for somebody.
struct Reader;

impl Observer for Reader {
    fn line(&self, _: Line<'_>) {}
}

/// The CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on every Linux, and `time` is ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "the clock can be read");
    let seconds = u64::try_from(time.tv_sec).expect("it is not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("it is less than a second"))
}

fn host(folder: &std::path::Path) -> Host {
    let limits = Limits { fuel: 100_000_000_000, log_bytes_per_second: u32::MAX, ..Limits::default() };
    let builder = Host::builder().limits(limits).instances(2).capability(Cache::new()).capability(Config);
    let builder = builder.capability(Crypto).capability(Db::new(folder.into())).capability(Http).capability(Log);
    let builder = builder.capability(Jobs::new(Arc::new(backends::Nowhere)));
    let builder = builder.capability(Events::new(Arc::new(backends::Nowhere))).capability(Workflow);
    let builder = builder.capability(Flags::local());
    builder.capability(Workers::new(Arc::new(backends::Nowhere))).build().expect("a host")
}

async fn load(host: &Host, probe: &Probe, size: u32) -> App {
    let grants = match probe.grant(size) {
        Some((capability, grant)) => Grants::none().with(capability, grant),
        None => Grants::none(),
    };
    let options = LoadOptions { grants, observer: Some(Arc::new(Reader)), ..LoadOptions::default() };
    let component = guest::component(probe, size);
    host.load_with(&component, &options).await.unwrap_or_else(|error| panic!("{}: {error}", probe.what))
}

/// The extensions of an execution: a journal, for those that do steps.
fn options() -> CallOptions {
    let mut options = CallOptions::default();
    options.extensions.insert(JournalHandle::new("job", Arc::new(backends::Nowhere)));
    options
}

/// CPU time of a unit of fuel, in nanoseconds: the least of some attempts, since what else a machine does only adds to
/// it.
async fn time_of_unit(app: &App, what: &str) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let (began, mut units) = (cpu_time(), 0_u64);
        let taken = loop {
            let called = app.call_with(&Value::Null, options()).await;
            units += called.unwrap_or_else(|error| panic!("{what}: {error}")).execution.fuel;
            let taken = cpu_time().saturating_sub(began);
            if taken >= ENOUGH {
                break taken;
            }
        };
        least = least.min(taken.as_secs_f64() * 1e9 / units as f64);
    }
    least
}

#[tokio::test]
async fn what_a_call_takes_rises_no_faster_than_what_it_costs() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = host(folder.path());
    let mut wrong = Vec::new();
    for probe in probes::all() {
        let mut times = Vec::new();
        for size in probe.sizes {
            let app = load(&host, &probe, size).await;
            // What is done once, such as opening a database, is done.
            app.call_with(&Value::Null, options()).await.unwrap_or_else(|error| panic!("{}: {error}", probe.what));
            times.push(time_of_unit(&app, probe.what).await);
        }
        let mut least = f64::INFINITY;
        for time in &times {
            if *time > FACTOR * least {
                wrong.push(format!("{}: nanoseconds of a unit by size {:?}: {times:?}", probe.what, probe.sizes));
                break;
            }
            least = least.min(*time);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_probe_calls_what_the_list_of_prices_says_is_measured_here() {
    let list = include_str!("../../../../docs/reference/host-functions.txt");
    for probe in probes::all() {
        for function in probe.functions {
            let (interface, name) = function.split_once('#').expect("an interface and a name");
            let linked = list.lines().any(|line| {
                let known = line.split_once(" = ").and_then(|(whole, _)| whole.split_once('#'));
                known.is_some_and(|(known, of)| of == name && known.split('@').next() == Some(interface))
            });
            assert!(linked, "{function} is not in the list");
            let imported =
                probe.imports.iter().any(|(of, field, _)| of.split('@').next() == Some(interface) && *field == name);
            assert!(imported, "{}: {function} is not imported", probe.what);
        }
    }
}

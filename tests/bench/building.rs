//! How long a build takes, how large what it makes is, and what a loaded component costs.

use crate::report::Report;
use crate::server::Server;
use elias_build::{BuildOptions, Builder, engine};
use elias_host::{App, Host, LoadOptions};
use elias_tests::build::{Project, binary};
use std::time::{Duration, Instant};

const BUILDS: usize = 11;
const LOADED: usize = 1_000;

pub(crate) async fn run(report: &mut Report) {
    let source = "export default { fetch: () => new Response('Hello, world!\\n') };";
    let project = Project::new(&[("index.js", source)]);
    let mut times = Vec::new();
    for _ in 0..=BUILDS {
        let started = Instant::now();
        let size = project.build("index.js").len();
        times.push((started.elapsed(), size));
    }
    let size = times[0].1;
    times.remove(0); // the first may have had to compile the engine
    times.sort();
    let milliseconds = times[BUILDS / 2].0.as_secs_f64() * 1e3;
    report.row(
        "`elias-build` on hello, as a process, warm, p50",
        &format!("{milliseconds:.0} ms"),
        "100 ms",
        Some(milliseconds < 100.0),
    );
    report.row("hello.wasm", &format!("{size} bytes"), "2.5 MB", Some(size < 2_500_000));
    let output = project.elias_build(&["index.js", "--thin", "-o", "thin.wasm"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let thin = std::fs::metadata(project.path("thin.wasm")).expect("it was written").len();
    report.row("hello.wasm, thin", &format!("{thin} bytes"), "60 KB", Some(thin < 60_000));

    for program in ["elias", "elias-build", "elias-serve"] {
        let bytes = std::fs::metadata(binary(program)).expect("it is there").len();
        let megabytes = format!("{:.1} MB", bytes as f64 / 1e6);
        report.row(&format!("the program `{program}`"), &megabytes, "60 MB", Some(bytes < 60_000_000));
    }
    save_to_served(report);

    let builder = Builder::new(None).expect("the engine");
    let mut loaded = Vec::new(); // what one form gives back is not to be another's
    for (form, is_thin) in [("self-contained", false), ("thin", true)] {
        loaded.push(load_many(report, &builder, &project, form, is_thin).await);
    }
}

/// Loads components one after the other, as `elias serve --platform` does. They are one that was built, with another
/// text in each: memory that a build takes would be counted for those loaded meanwhile.
async fn load_many(report: &mut Report, builder: &Builder, project: &Project, form: &str, thin: bool) -> Vec<App> {
    const TEXT: &str = "component 0000";
    let cache = tempfile::tempdir().expect("a temporary folder");
    let host = Host::builder().instances(16).cache_dir(cache.path()).engine(engine::ENGINE).base(engine::BASE);
    let host = host.build().expect("a host");
    project.write("index.js", format!("export default {{ fetch: () => new Response('{TEXT}') }};"));
    let options = BuildOptions { thin, ..BuildOptions::new("index.js", project.path(".")) };
    let built = builder.build(&options).await.expect("it builds").wasm;
    let windows = built.windows(TEXT.len()).enumerate();
    let places: Vec<usize> = windows.filter(|(_, window)| *window == TEXT.as_bytes()).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the text is in the image");
    let options = LoadOptions::default();
    let (mut apps, mut times) = (Vec::new(), Vec::new());
    let mut before = Memory::default();
    for number in 0..LOADED {
        let mut wasm = built.clone();
        for at in &places {
            wasm[*at..at + TEXT.len()].copy_from_slice(format!("component {number:04}").as_bytes());
        }
        let started = Instant::now();
        apps.push(host.load_bytes(wasm.into(), &options).await.expect("it loads"));
        times.push(started.elapsed());
        if number == LOADED / 2 {
            before = Memory::now();
        }
    }
    times.sort();
    let milliseconds = times[LOADED / 2].as_secs_f64() * 1e3;
    report.row(
        &format!("loading a further component, {form}, p50"),
        &format!("{milliseconds:.1} ms"),
        "2 ms",
        Some(milliseconds < 2.0),
    );
    let now = Memory::now();
    let each = |bytes: fn(&Memory) -> u64| bytes(&now).saturating_sub(bytes(&before)) / (LOADED as u64 / 2);
    let (resident, anonymous) = (each(|memory| memory.resident), each(|memory| memory.anonymous));
    report.row(
        &format!("resident memory per further component, {form}, {LOADED} loaded"),
        &format!("{} KB, of which {} KB are not pages of the cached file", resident / 1000, anonymous / 1000),
        "100 KB",
        Some(resident < 100_000),
    );
    apps
}

/// The time from writing a source file to the first answer of the new version.
fn save_to_served(report: &mut Report) {
    let version = |number| format!("export default {{ fetch: () => new Response('version {number}.') }};");
    let project = Project::new(&[("index.js", &version(0))]);
    let server = Server::elias(&["--watch", project.path("index.js").to_str().expect("UTF-8")]);
    let serves = |number| server.get().ends_with(&format!("version {number}."));
    let mut times = Vec::new();
    for number in 1..=BUILDS {
        let started = Instant::now();
        project.write("index.js", version(number));
        while !serves(number) {
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(started.elapsed());
    }
    times.sort();
    let milliseconds = times[BUILDS / 2].as_secs_f64() * 1e3;
    report.row(
        "saved to served, `elias serve --watch`, p50",
        &format!("{milliseconds:.0} ms"),
        "150 ms",
        Some(milliseconds < 150.0),
    );
}

/// The memory of this process, in bytes.
#[derive(Default)]
struct Memory {
    resident: u64,
    anonymous: u64,
}

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let bytes = |label| {
            let line = status.lines().find_map(|line| line.strip_prefix(label)).expect("the kernel says");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
        };
        Self { resident: bytes("VmRSS:"), anonymous: bytes("RssAnon:") }
    }
}

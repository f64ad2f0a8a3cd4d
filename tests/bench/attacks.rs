//! The latency of a tenant's component while another tenant attacks the host, and what is left of the attacks.

use crate::admin::{Platform, host};
use crate::http_load::prioritized_load_of;
use crate::platform::{of, source};
use crate::report::Report;
use elias_tests::build::component;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

/// The attackers' tenant.
const ATTACKERS: &str = "attackers";
/// Connections of the neighbour's clients, as where `platform` measures a component that spins.
const CONNECTIONS: u32 = 16;
const ALONE_SECONDS: u32 = 5;
const BESIDE_SECONDS: u32 = 8;
/// Shorter than [`BESIDE_SECONDS`], so that attacks also end and begin anew while the neighbour is measured.
const DEADLINE_MS: u32 = 4_000;
/// More than any attack uses: its deadline ends it.
const FUEL: &str = "1000000000000000";
/// The longest wait for all clients of an attack to be served.
const START: Duration = Duration::from_secs(5);
/// The longest wait for the executions of an attack to end without their clients.
const END: Duration = Duration::from_secs(30);
/// The longest wait for memory to be returned to the system.
const MEMORY: Duration = Duration::from_secs(60);
const MEMORY_MEGABYTES: f64 = 64.0;
const HOST_CALL_MILLISECONDS: f64 = 5.0;

/// A component of the attackers, and the clients that call it.
struct Attack {
    clients: usize,
    name: &'static str,
    source: &'static str,
    limits: Value,
    capabilities: Value,
    /// The clients read a byte a second of their responses.
    slow: bool,
}

impl Attack {
    fn new(clients: usize, name: &'static str, source: &'static str) -> Self {
        let limits = json!({ "deadline-ms": DEADLINE_MS });
        Self { clients, name, source, limits, capabilities: json!({}), slow: false }
    }

    fn component(&self) -> String {
        self.name.replace(' ', "-").to_lowercase()
    }

    /// Deploys the component, with slots for all clients and a circuit that stays closed whatever fails.
    fn deploy(&self, attackers: &Platform) {
        let supervision = json!({
            "concurrency": 1_000, "queue": 1_000, "consecutive-failures": 100_000, "error-rate-requests": 1_000_000,
        });
        let Self { limits, capabilities, .. } = self;
        let settings = json!({
            "smoke": { "path": "" }, "supervision": supervision, "limits": limits, "capabilities": capabilities,
        });
        attackers.serve(&self.component(), &component(self.source), &settings);
    }

    /// Starts the clients, which go on until the runtime is dropped.
    fn start(&self, server: SocketAddr) -> Runtime {
        let clients = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        for _ in 0..self.clients {
            clients.spawn(call_repeatedly(server, host(ATTACKERS, &self.component()), self.slow));
        }
        clients
    }
}

fn attacks() -> [Attack; 6] {
    [
        Attack::new(100, "spinners", "export default { fetch() { for (;;); } };"),
        Attack {
            // Smaller than the default of 64 MiB, of which a hundred would be more than small machines have.
            limits: json!({ "deadline-ms": DEADLINE_MS, "memory-bytes": 32 << 20 }),
            ..Attack::new(
                100,
                "allocators",
                "export default {
                  fetch() {
                    for (;;) {
                      const all = [];
                      try { for (;;) all.push(new Uint8Array(1 << 20).fill(1)); } catch { /* the memory is full */ }
                    }
                  },
                };",
            )
        },
        Attack::new(
            60,
            "log floods",
            r#"
            const line = 'quotes ", \\ and    at f (app.js:1:1)\n'.repeat(2_000);
            export default { fetch() { for (;;) console.log(line); } };
            "#,
        ),
        Attack::new(
            40,
            "PBKDF2 derivations",
            r#"
            export default {
              async fetch() {
                const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
                const how = { name: "PBKDF2", hash: "SHA-512", salt: new Uint8Array(8), iterations: 1_000_000 };
                for (;;) await crypto.subtle.deriveBits(how, key, 512);
              },
            };
            "#,
        ),
        Attack {
            capabilities: json!({ "db": { "statement-timeout-ms": 60_000 } }),
            ..Attack::new(
                8,
                "hostile SQL statements",
                r#"
                import { db } from "elias/db";
                const endless = "with recursive n(i) as (select 1 union all select i + 1 from n)";
                const thousands = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)";
                const statements = [
                  `${endless} select max(i) from n`,
                  `${endless} select sum(length(hex(randomblob(1000000)))) from n`,
                  `${thousands} select count(*) from n a, n b, n c, n d where a.i * b.i = c.i + d.i`,
                ];
                export default {
                  async fetch() {
                    return Response.json(await db.query(statements[Math.floor(Math.random() * statements.length)]));
                  },
                };
                "#,
            )
        },
        Attack {
            // The host's deadline, since a slow client does not notice soon that its response was ended.
            limits: json!({}),
            slow: true,
            ..Attack::new(
                1_000,
                "slow readers",
                "export default {
                  fetch: () => new Response(new ReadableStream({
                    pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)),
                  })),
                };",
            )
        },
    ]
}

async fn call_repeatedly(server: SocketAddr, host: String, slow: bool) {
    loop {
        // After an error the next call follows as after a response. The pause keeps refused calls from being a load of
        // their own.
        let _ = call(server, &host, slow).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Calls a component until its response begins, or reads a byte a second of the response.
async fn call(server: SocketAddr, host: &str, slow: bool) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // Not the address of the neighbour's clients, since clients of one address share their limits.
    socket.bind(([127, 0, 0, 2], 0).into())?;
    socket.set_recv_buffer_size(4_096)?;
    let mut stream = socket.connect(server).await?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await?;
    while stream.read(&mut [0; 1]).await? == 1 && slow {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

pub(crate) fn run(report: &mut Report) {
    if Command::new("wrk").arg("-v").output().is_err() {
        report.row("attacks", "not measured: wrk is missing", "", None);
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // With a log, for what is written into it is an attack too.
    let platform = Platform::start_with(folder.path(), &["--fuel", FUEL], "info");
    platform.serve("calm", &source("calm"), &json!({}));
    let attackers = platform.new_tenant(ATTACKERS);
    let attacks = attacks();
    for attack in &attacks {
        attack.deploy(&attackers);
    }
    let neighbour = of("calm");
    let measure = |seconds| prioritized_load_of(&platform.server, CONNECTIONS, seconds, &[&neighbour]);
    measure(1); // it is warm
    let mut alone = vec![measure(ALONE_SECONDS)];
    let before = resident_megabytes(&platform);
    let mut measured = Vec::new();
    let server = platform.server.address().parse().expect("an address");
    let executions = || platform.metric("elias_executions_in_flight").0;
    for attack in &attacks {
        let clients = attack.start(server);
        poll(START, || executions() >= attack.clients as f64);
        let attacking = executions();
        let beside = measure(BESIDE_SECONDS);
        drop(clients);
        poll(END, || executions() == 0.0);
        let after = measure(ALONE_SECONDS);
        let failed = beside.failed + after.failed;
        measured.push((attack, attacking, beside, failed));
        alone.push(after);
    }
    let waited = poll(MEMORY, || resident_megabytes(&platform) - before <= MEMORY_MEGABYTES);
    let after = resident_megabytes(&platform);

    alone.sort_by(|a, b| a.p99_microseconds().total_cmp(&b.p99_microseconds()));
    let median = &alone[alone.len() / 2];
    for (Attack { clients, name, .. }, attacking, beside, failed) in measured {
        let ratio = beside.p99_microseconds() / median.p99_microseconds();
        report.row(
            &format!(
                "platform, hello, {CONNECTIONS} connections: p99 of a neighbour beside {clients} {name} against alone"
            ),
            &format!(
                "{ratio:.2}x ({} against {}), {failed} failed; {attacking} executions of the attack at its start",
                beside.p99, median.p99
            ),
            "2x, 0 failed",
            Some(ratio <= 2.0 && failed == 0),
        );
    }
    let grown = after - before;
    report.row(
        "platform: resident memory after these attacks against before, at most a minute later",
        &format!("{grown:+.0} MB after {:.0} s ({after:.0} MB against {before:.0} MB)", waited.as_secs_f64()),
        &format!("{MEMORY_MEGABYTES} MB"),
        Some(grown <= MEMORY_MEGABYTES),
    );
    let (seconds, function) = platform.metric("elias_host_call_cpu_longest_seconds");
    let milliseconds = seconds * 1e3;
    report.row(
        "platform: CPU time of the longest call of a host function during these attacks",
        &format!("{milliseconds:.2} ms, {}", function.split('"').nth(1).unwrap_or_default()),
        &format!("{HOST_CALL_MILLISECONDS} ms"),
        Some(milliseconds <= HOST_CALL_MILLISECONDS),
    );
}

fn resident_megabytes(platform: &Platform) -> f64 {
    platform.server.resident_bytes() as f64 / 1e6
}

/// Waits until a condition holds, or for as long as `limit`; gives the time that it took.
fn poll(limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds() && started.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(100));
    }
    started.elapsed()
}

//! `make bench`: ratios against rivals in the same run, written to docs/reference/performance.md. With the names of
//! parts as arguments (`make bench PARTS=building`) only those run, and nothing is written.
//! `soak`, `soak-components`, `soak-triggers`, `soak-queue` and `soak-workers` run only if they are named: `make soak`.

mod admin;
mod attacks;
mod bare;
mod building;
mod capabilities;
mod guest_cpu;
mod http_load;
mod in_process;
mod instructions;
mod parameters;
mod plain_proxy;
mod platform;
mod profile;
mod report;
mod server;
mod soak;
mod starling_monkey;
mod triggers;
mod web_apis;
mod workers;

use std::path::Path;

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [first, folder] = &parts[..]
        && *first == instructions::COUNTED
    {
        return instructions::counted(Path::new(folder));
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut report = report::Report::new();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if wanted("in-process") {
        runtime.block_on(in_process::run(&mut report));
    }
    if wanted("building") {
        runtime.block_on(building::run(&mut report));
    }
    if wanted("guest-cpu") {
        runtime.block_on(guest_cpu::run(&mut report));
    }
    if wanted("web-apis") {
        runtime.block_on(web_apis::run(&mut report));
    }
    if wanted("capabilities") {
        // One thread for the guest and for the drivers' tasks, as each thread of a server has both.
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        one.block_on(capabilities::run(&mut report));
        capabilities::proxy(&mut report);
    }
    drop(runtime);
    if wanted("http") {
        http_load::run(&mut report);
    }
    if wanted("json") {
        http_load::json(&mut report);
    }
    if wanted("express") {
        http_load::express(&mut report);
    }
    if wanted("profile") {
        profile::run(&mut report);
    }
    if wanted("instructions") {
        instructions::run(&mut report);
    }
    if wanted("platform") {
        platform::run(&mut report);
    }
    if wanted("attacks") {
        attacks::run(&mut report);
    }
    if wanted("triggers") {
        triggers::run(&mut report);
    }
    if wanted("workers") {
        workers::run(&mut report);
    }
    if parts.iter().any(|part| part == "soak") {
        soak::run(&mut report);
    }
    if parts.iter().any(|part| part == "soak-components") {
        soak::components(&mut report);
    }
    if parts.iter().any(|part| part == "soak-triggers") {
        soak::triggers::run(&mut report);
    }
    if parts.iter().any(|part| part == "soak-queue") {
        triggers::soak(&mut report);
    }
    if parts.iter().any(|part| part == "soak-workers") {
        soak::workers::run(&mut report);
    }
    if parts.is_empty() {
        report.write();
    }
}

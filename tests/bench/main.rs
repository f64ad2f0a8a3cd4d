//! `make bench`: ratios against rivals in the same run, written to docs/performance.md.

mod building;
mod http_load;
mod in_process;
mod report;

fn main() {
    let mut report = report::Report::new();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(in_process::run(&mut report));
    runtime.block_on(building::run(&mut report));
    drop(runtime);
    http_load::run(&mut report);
    report.write();
}

//! `make bench`: ratios against rivals in the same run.

mod in_process;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(in_process::run());
}

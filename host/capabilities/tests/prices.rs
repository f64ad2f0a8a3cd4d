//! The prices of all functions that components can import.

use elias_capabilities::events::MemoryLog;
use elias_capabilities::jobs::MemoryQueue;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Cache, Config, Crypto, Db, Events, Http, Jobs, Log, Workers, Workflow};
use elias_host::Host;
use elias_host::pricing::INLINE_UNITS_MAX;
use std::fmt::Write;
use std::sync::Arc;

/// The list, which is part of the documentation.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/host-functions.txt");

fn host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Host::builder().instances(1).capability(Cache::new()).capability(Config).capability(Crypto);
    let builder = builder.capability(Db::new(folder.path().into())).capability(Http).capability(Log);
    let builder = builder.capability(Events::new(Arc::new(MemoryLog::new(Clock::system()).0)));
    let builder = builder.capability(Jobs::new(Arc::new(MemoryQueue::new(Clock::system()).0))).capability(Workflow);
    let builder = builder.capability(Workers::unavailable());
    (folder, builder.build().expect("a host"))
}

#[test]
fn the_list_of_functions_and_prices_is_the_documented_one() {
    let (_folder, host) = host();
    let mut list = String::new();
    for function in host.functions() {
        writeln!(list, "{function}").expect("text");
    }
    if std::env::var_os("ELIAS_UPDATE").is_some() {
        std::fs::write(LIST, &list).expect("written");
    }
    let documented = std::fs::read_to_string(LIST).expect("the list is there");
    assert_eq!(list, documented, "run this test with ELIAS_UPDATE=1, and read what changed");
}

#[test]
fn twice_as_much_of_anything_costs_twice_as_much_or_more() {
    let (_folder, host) = host();
    for function in host.functions() {
        for size in function.sizes() {
            let most = size.most();
            // From a size at which steps do not matter.
            let mut one = (most / 8).max(1);
            while one <= most / 2 {
                let (once, twice) = (size.units(one), size.units(2 * one));
                assert!(
                    once > 0 && twice >= 2 * once,
                    "{}: {one} x {} costs {once}, twice of it {twice}",
                    function.name(),
                    size.name()
                );
                one *= 2;
            }
        }
    }
}

#[test]
fn nothing_that_takes_longer_than_a_millisecond_is_done_in_one_go() {
    let (_folder, host) = host();
    for function in host.functions().iter().filter(|function| !function.can_wait()) {
        let most =
            function.sizes().iter().fold(function.call(), |sum, size| sum.saturating_add(size.units(size.most())));
        assert!(most <= INLINE_UNITS_MAX, "{} can cost {most}", function.name());
    }
}

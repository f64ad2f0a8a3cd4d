//! The prices of all functions that components can import.

use elias_capabilities::events::MemoryLog;
use elias_capabilities::jobs::MemoryQueue;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Cache, Config, Crypto, Db, Events, Flags, Http, Jobs, Log, Workers, Workflow};
use elias_host::Host;
use elias_host::pricing::{HostFunction, INLINE_UNITS_MAX};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The list, which is part of the documentation.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/host-functions.txt");

/// How it is known that the CPU time of a function rises as its price does.
#[derive(Clone, Copy)]
enum Proof {
    /// A test compares them: in `price_times` beside this file, in `host/runtime/src/pricing`, or in
    /// `host/capabilities/src/crypto/price`.
    Measured,
    /// It does with its arguments what this one does, which is measured, or less.
    As(&'static str),
    /// Its arguments are bounded at so many units in all, whose time no clock shows.
    Bounded(u64),
    /// Its time is a matter of chance, and it is done in parts, aside.
    Chance,
}

use Proof::{As, Bounded, Chance, Measured};

/// All functions whose price grows.
const PROOFS: &[(&str, Proof)] = &[
    ("wasi:io/poll#poll", Measured),
    ("wasi:io/streams#[method]input-stream.skip", As("wasi:io/streams#[method]output-stream.write-zeroes")),
    ("wasi:io/streams#[method]input-stream.blocking-skip", As("wasi:io/streams#[method]output-stream.write-zeroes")),
    ("wasi:io/streams#[method]output-stream.write-zeroes", Measured),
    (
        "wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush",
        As("wasi:io/streams#[method]output-stream.write-zeroes"),
    ),
    ("wasi:io/streams#[method]output-stream.splice", As("wasi:io/streams#[method]output-stream.write-zeroes")),
    ("wasi:io/streams#[method]output-stream.blocking-splice", As("wasi:io/streams#[method]output-stream.write-zeroes")),
    ("wasi:random/random#get-random-bytes", Measured),
    ("wasi:random/insecure#get-insecure-random-bytes", Measured),
    ("wasi:http/types#[static]fields.from-list", Measured),
    ("wasi:http/types#[method]fields.get", Measured),
    ("wasi:http/types#[method]fields.set", Measured),
    ("wasi:http/types#[method]fields.delete", Measured),
    ("wasi:http/types#[method]fields.append", Measured),
    ("wasi:http/types#[method]fields.entries", Measured),
    // Once of an execution: the error in the place of a response, 512 KiB of it.
    ("wasi:http/types#[static]response-outparam.set", Bounded(8_000_000)),
    ("elias:cache/cache#start", Measured),
    ("elias:config/config#keys", Measured),
    ("wasi:config/store#get-all", Measured),
    ("elias:crypto/crypto#digest", Measured),
    ("elias:crypto/crypto#hmac", Measured),
    ("elias:crypto/crypto#encrypt", Measured),
    ("elias:crypto/crypto#decrypt", Measured),
    ("elias:crypto/crypto#hkdf", Measured),
    ("elias:crypto/crypto#pbkdf2", Measured),
    ("elias:crypto/crypto#scrypt", Measured),
    ("elias:crypto/crypto#generate", Measured),
    ("elias:crypto/crypto#public-of", Measured),
    ("elias:crypto/crypto#decode-pkcs8", Measured),
    ("elias:crypto/crypto#encode-pkcs8", Measured),
    ("elias:crypto/crypto#check-public", Measured),
    ("elias:crypto/crypto#decode-spki", Measured),
    ("elias:crypto/crypto#encode-spki", Measured),
    ("elias:crypto/crypto#agree", Measured),
    ("elias:crypto/crypto#sign", Measured),
    ("elias:crypto/crypto#verify", Measured),
    ("elias:crypto/crypto#rsa-generate", Chance),
    ("elias:crypto/crypto#rsa-private-numbers", Measured),
    ("elias:crypto/crypto#rsa-private-key", Measured),
    ("elias:crypto/crypto#rsa-public-numbers", Measured),
    ("elias:crypto/crypto#rsa-public-key", Measured),
    ("elias:crypto/crypto#rsa-sign", Measured),
    ("elias:crypto/crypto#rsa-verify", Measured),
    ("elias:crypto/crypto#rsa-encrypt", Measured),
    ("elias:crypto/crypto#rsa-decrypt", Measured),
    ("elias:db/db#execute", Measured),
    ("elias:db/db#[method]transaction.query", As("elias:db/db#execute")),
    ("elias:log/log#write", Measured),
    ("elias:feature-flags/evaluation#evaluate", Measured),
    ("elias:events/events#publish", Measured),
    // A row of the component's own database, whose statement is one of `execute`.
    ("elias:events/events#publish-in", As("elias:events/events#publish")),
    ("elias:jobs/jobs#enqueue", Measured),
    ("elias:jobs/jobs#enqueue-in", As("elias:jobs/jobs#enqueue")),
    ("elias:workers/workers#call", Measured),
    ("elias:workflow/steps#finish", Measured),
    ("elias:workflow/steps#finish-in", As("elias:workflow/steps#finish")),
    ("elias:workflow/steps#wait-for", Measured),
];

fn host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = Host::builder().instances(1).capability(Cache::new()).capability(Config).capability(Crypto);
    let builder = builder.capability(Db::new(folder.path().into())).capability(Http).capability(Log);
    let builder = builder.capability(Events::new(Arc::new(MemoryLog::new(Clock::system()).0)));
    let builder = builder.capability(Jobs::new(Arc::new(MemoryQueue::new(Clock::system()).0))).capability(Workflow);
    let builder = builder.capability(Workers::unavailable()).capability(Flags::local());
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

/// A function's name without the version of its package.
fn unversioned(name: &str) -> String {
    match (name.split_once('@'), name.split_once('#')) {
        (Some((interface, _)), Some((_, function))) => format!("{interface}#{function}"),
        _ => name.to_owned(),
    }
}

#[test]
fn of_each_price_that_grows_it_is_known_whether_it_is_measured() {
    let (_folder, host) = host();
    // Two versions of one function have one name here, and one price.
    let growing = host.functions().iter().filter(|function| !function.sizes().is_empty());
    let growing: BTreeMap<String, u64> =
        growing.map(|function| (unversioned(function.name()), most(function))).collect();
    let known: BTreeMap<&str, Proof> = PROOFS.iter().copied().collect();
    assert_eq!(known.len(), PROOFS.len(), "each is named once");
    assert_eq!(growing.keys().map(String::as_str).collect::<Vec<_>>(), known.keys().copied().collect::<Vec<_>>());
    for (function, proof) in &known {
        match proof {
            Measured | Chance => {}
            As(other) => assert!(matches!(known.get(other), Some(Measured)), "{function}: {other} is not measured"),
            Bounded(units) => assert!(growing[*function] <= *units, "{function} can cost {}", growing[*function]),
        }
    }
}

/// The most that a call can cost, without the bytes of its arguments and its result.
fn most(function: &HostFunction) -> u64 {
    function.sizes().iter().fold(function.call(), |sum, size| sum.saturating_add(size.units(size.most())))
}

#[test]
fn nothing_that_takes_longer_than_a_millisecond_is_done_in_one_go() {
    let (_folder, host) = host();
    for function in host.functions().iter().filter(|function| !function.can_wait()) {
        let most = most(function);
        assert!(most <= INLINE_UNITS_MAX, "{} can cost {most}", function.name());
    }
}

//! The prices of all functions that components can import.

use elias_capabilities::events::MemoryLog;
use elias_capabilities::jobs::MemoryQueue;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Cache, Config, Crypto, Db, Events, Http, Jobs, Log, Workers, Workflow};
use elias_host::Host;
use elias_host::pricing::INLINE_UNITS_MAX;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

/// The list, which is part of the documentation.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/host-functions.txt");

/// Functions whose price grows, of which tests measure that the CPU time grows alike: in `host/runtime/src/pricing`,
/// and in `host/capabilities/src/crypto/price`.
const MEASURED: &[&str] = &[
    "wasi:io/poll#poll",
    "wasi:random/random#get-random-bytes",
    "wasi:random/insecure#get-insecure-random-bytes",
    "elias:crypto/crypto#digest",
    "elias:crypto/crypto#hmac",
    "elias:crypto/crypto#encrypt",
    "elias:crypto/crypto#decrypt",
    "elias:crypto/crypto#hkdf",
    "elias:crypto/crypto#pbkdf2",
    "elias:crypto/crypto#scrypt",
    "elias:crypto/crypto#rsa-sign",
];

/// The others, and why nobody measures them.
const NOT_MEASURED: &[(&str, &[&str])] = &[
    (
        "they copy bytes, as handing over arguments does, which is measured",
        &[
            "wasi:io/streams#[method]input-stream.skip",
            "wasi:io/streams#[method]input-stream.blocking-skip",
            "wasi:io/streams#[method]output-stream.write-zeroes",
            "wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush",
            "wasi:io/streams#[method]output-stream.splice",
            "wasi:io/streams#[method]output-stream.blocking-splice",
            "wasi:http/types#[static]response-outparam.set",
        ],
    ),
    (
        "they need a request, and have some hundred fields at most",
        &[
            "wasi:http/types#[static]fields.from-list",
            "wasi:http/types#[method]fields.get",
            "wasi:http/types#[method]fields.set",
            "wasi:http/types#[method]fields.delete",
            "wasi:http/types#[method]fields.append",
            "wasi:http/types#[method]fields.entries",
        ],
    ),
    ("their size is that of the configuration", &["elias:config/config#keys", "wasi:config/store#get-all"]),
    (
        "the time of a call depends on a kind, or on chance, and on no size",
        &[
            "elias:crypto/crypto#generate",
            "elias:crypto/crypto#public-of",
            "elias:crypto/crypto#decode-pkcs8",
            "elias:crypto/crypto#encode-pkcs8",
            "elias:crypto/crypto#check-public",
            "elias:crypto/crypto#decode-spki",
            "elias:crypto/crypto#encode-spki",
            "elias:crypto/crypto#agree",
            "elias:crypto/crypto#rsa-generate",
        ],
    ),
    (
        "they hash, which is measured, or do with a key what signing does with it or less",
        &[
            "elias:crypto/crypto#sign",
            "elias:crypto/crypto#verify",
            "elias:crypto/crypto#rsa-private-numbers",
            "elias:crypto/crypto#rsa-private-key",
            "elias:crypto/crypto#rsa-public-numbers",
            "elias:crypto/crypto#rsa-public-key",
            "elias:crypto/crypto#rsa-verify",
            "elias:crypto/crypto#rsa-encrypt",
            "elias:crypto/crypto#rsa-decrypt",
        ],
    ),
    (
        "most of their work is another thread's, or a backend's",
        &[
            "elias:cache/cache#start",
            "elias:db/db#[method]transaction.query",
            "elias:db/db#execute",
            "elias:log/log#write",
            "elias:events/events#publish",
            "elias:events/events#publish-in",
            "elias:jobs/jobs#enqueue",
            "elias:jobs/jobs#enqueue-in",
            "elias:workers/workers#call",
            "elias:workflow/steps#finish",
            "elias:workflow/steps#finish-in",
            "elias:workflow/steps#wait-for",
        ],
    ),
];

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
    let growing = host.functions().iter().filter(|function| !function.sizes().is_empty());
    let growing: BTreeSet<String> = growing.map(|function| unversioned(function.name())).collect();
    let named: Vec<&str> =
        MEASURED.iter().chain(NOT_MEASURED.iter().flat_map(|(_, functions)| functions.iter())).copied().collect();
    let known: BTreeSet<String> = named.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(growing, known);
    assert_eq!(named.len(), known.len(), "each is named once");
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

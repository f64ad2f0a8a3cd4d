//! The table `[workers]`, as it is read and checked.

use super::*;

fn config(text: &str) -> WorkersConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_group_is_named_with_and_without_a_key_and_by_its_class() {
    let config = config("[[group]]\nname = \"pool\"\nclass = \"Resizer\"\nsize = 2\n");
    let group_of = |class: &str, name: &str| config.group_of(&WorkerKey::new(class, name)).map(|group| &*group.name);
    for name in ["pool", "pool/", "pool/user-42", "pool/a/b"] {
        assert_eq!(group_of("Resizer", name), Some("pool"), "{name}");
    }
    for (class, name) in [("Reader", "pool"), ("Resizer", "pool#1"), ("Resizer", "pools"), ("Resizer", "a/pool")] {
        assert_eq!(group_of(class, name), None, "{class}/{name}");
    }
}

#[test]
fn the_whole_table_is_read_and_written() {
    let whole = config(
        r#"
            idle = "5m"
            durability = "turn"
            history = { turns = 20, age = "2d" }
            mailbox = { messages = 50, bytes = 1048576, overflow = "drop-oldest" }
            sockets = { open = 20, message-bytes = 1000, waiting-messages = 5, waiting-bytes = 2048 }
            limits = { timers = 5, fuel = 2000000, fuel-per-hour = 9 }
            supervision = { attempts = 5, backoff = "1s", backoff-max = "1m", failures = 2, window = "10m" }
            health = { interval = "10s", timeout = "1s", threshold = 2 }
            tags = { Reader = ["io", "edge"] }
            [[group]]
            name = "pool"
            class = "Resizer"
            size = 2
            balance = "least-loaded"
            [[tree]]
            name = "ingest"
            strategy = "one-for-all"
            children = [{ class = "Reader", name = "in" }, { tree = "work" }]
            [[tree]]
            name = "work"
            strategy = "rest-for-one"
            children = [{ group = "pool" }]
            failures = 1
            window = "5m"
        "#,
    );
    assert_eq!(whole.check(), Ok(()));
    assert_eq!((whole.idle(), whole.durability), (Duration::from_secs(300), Durability::Turn));
    assert_eq!((whole.history.turns, whole.history.age), (20, DurationText::from_secs(2 * 86_400)));
    let limits = whole.mailbox.limits();
    assert_eq!((limits.messages, limits.bytes, limits.policy), (50, 1 << 20, OverflowPolicy::DropOldest));
    let sockets = whole.sockets.limits();
    assert_eq!((sockets.sockets, sockets.message_bytes), (20, 1_000));
    assert_eq!((sockets.waiting_messages, sockets.waiting_bytes), (5, 2_048));
    assert_eq!(whole.limits, LimitsConfig { timers: 5, fuel: Some(2_000_000), fuel_per_hour: 9 });
    let policy = whole.supervision.policy();
    assert_eq!((policy.attempts, policy.backoff_max), (5, Duration::from_secs(60)));
    assert_eq!(config(&toml::to_string(&whole).expect("a table")), whole);
    assert_eq!(
        (whole.tags_of("Reader"), whole.tags_of("Writer")),
        (&["io".to_owned(), "edge".to_owned()][..], &[][..])
    );
    let [pool] = whole.group.as_slice() else { panic!("one group") };
    assert_eq!((pool.balance, pool.key()), (Balance::LeastLoaded, WorkerKey::new("Resizer", "pool")));
    // What is below another tree is a part of it.
    let trees = whole.trees();
    let [(name, tree)] = trees.as_slice() else { panic!("one root") };
    let workers: Vec<String> = tree.workers().iter().map(ToString::to_string).collect();
    assert_eq!(
        (name.as_str(), workers),
        ("ingest", ["Reader/in", "Resizer/pool#1", "Resizer/pool#2"].map(str::to_owned).to_vec())
    );
    let classes = ["Reader".to_owned(), "Resizer".to_owned()];
    assert_eq!(whole.check_classes(&classes), Ok(()));
    for (known, key) in
        [(&classes[..1], "workers.group"), (&classes[1..], "workers.tree"), (&classes[..0], "workers.group")]
    {
        assert_eq!(whole.check_classes(known).expect_err("a class is missing").key(), key);
    }
}

#[test]
fn a_check_of_health_takes_no_longer_than_its_interval() {
    let health = |text: &str| config(text).health.expect("a table");
    assert_eq!(health("health = {}").timeout(), DurationText::from_secs(5));
    assert_eq!(health("health = { interval = \"2s\" }").timeout(), DurationText::from_secs(2));
}

#[test]
fn without_a_table_workers_run_as_the_state_machines_have_it() {
    let least = config("");
    assert_eq!(least.check(), Ok(()));
    assert_eq!(least, WorkersConfig::default());
    assert_eq!(least.mailbox.limits(), MailboxLimits::default());
    assert_eq!(least.sockets.limits(), SocketLimits::default());
    assert_eq!(least.supervision.policy(), SupervisionPolicy::default());
}

#[test]
fn each_setting_has_its_bounds_and_errors_have_its_path() {
    for (text, key) in [
        ("idle = \"0s\"", "workers.idle"),
        ("idle = \"2h\"", "workers.idle"),
        ("history = { turns = 100_001 }", "workers.history.turns"),
        ("history = { age = \"31d\" }", "workers.history.age"),
        ("mailbox = { messages = 0 }", "workers.mailbox.messages"),
        ("mailbox = { bytes = 100 }", "workers.mailbox.bytes"),
        ("sockets = { open = 10_001 }", "workers.sockets.open"),
        ("sockets = { message-bytes = 786_433 }", "workers.sockets.message-bytes"),
        ("sockets = { waiting-messages = 0 }", "workers.sockets.waiting-messages"),
        ("sockets = { waiting-bytes = 1 }", "workers.sockets.waiting-bytes"),
        ("limits = { timers = 0 }", "workers.limits.timers"),
        ("limits = { timers = 11_001 }", "workers.limits.timers"),
        ("limits = { fuel = 999_999 }", "workers.limits.fuel"),
        ("limits = { fuel-per-hour = 9_007_199_254_740_993 }", "workers.limits.fuel-per-hour"),
        ("supervision = { attempts = 0 }", "workers.supervision.attempts"),
        ("supervision = { backoff = \"0s\" }", "workers.supervision.backoff"),
        ("supervision = { backoff = \"1m\" }", "workers.supervision.backoff-max"),
        ("supervision = { failures = 0 }", "workers.supervision.failures"),
        ("supervision = { window = \"2d\" }", "workers.supervision.window"),
        ("health = { interval = \"0s\" }", "workers.health.interval"),
        ("health = { timeout = \"1m\" }", "workers.health.timeout"),
        ("health = { threshold = 0 }", "workers.health.threshold"),
        ("tags = { A = [\"\"] }", "workers.tags"),
        ("group = [{ name = \"a\", class = \"A\", size = 0 }]", "workers.group.size"),
        ("group = [{ name = \"a\", class = \"A\", size = 1001 }]", "workers.group.size"),
        ("group = [{ name = \"a/b\", class = \"A\", size = 1 }]", "workers.group.name"),
        ("group = [{ name = \"a#1\", class = \"A\", size = 1 }]", "workers.group.name"),
        ("group = [{ name = \"a\", class = \"\", size = 1 }]", "workers.group.name"),
        (
            "group = [{ name = \"a\", class = \"A\", size = 1 }, { name = \"a\", class = \"B\", size = 1 }]",
            "workers.group.name",
        ),
        ("tree = [{ name = \"\", children = [{ tree = \"b\" }] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [{ class = \"A\" }] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [{ class = \"A\", name = \"\" }] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [{ group = \"a\" }] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [{ tree = \"b\" }] }]", "workers.tree"),
        ("tree = [{ name = \"a\", children = [{ tree = \"a\" }] }]", "workers.tree"),
        (
            "tree = [{ name = \"a\", failures = 10_001, children = [{ class = \"A\", name = \"a\" }] }]",
            "workers.tree.failures",
        ),
        (
            "tree = [{ name = \"a\", window = \"2d\", children = [{ class = \"A\", name = \"a\" }] }]",
            "workers.tree.window",
        ),
        (
            "tree = [{ name = \"a\", children = [{ class = \"A\", name = \"a\" }, \
             { class = \"A\", name = \"a\" }] }]",
            "workers.tree",
        ),
        // Each is the child of the other.
        (
            "tree = [{ name = \"a\", children = [{ tree = \"b\" }] }, \
             { name = \"b\", children = [{ tree = \"a\" }] }]",
            "workers.tree",
        ),
        // The group itself is no worker.
        (
            "group = [{ name = \"p\", class = \"A\", size = 1 }]\n\
             tree = [{ name = \"a\", children = [{ class = \"A\", name = \"p\" }] }]",
            "workers.tree",
        ),
    ] {
        let error = config(text).check().expect_err(text);
        assert_eq!(error.key(), key, "{text}: {error}");
    }
    for unknown in ["idel = \"1s\"", "durability = \"always\"", "mailbox = { overflow = \"wait\" }", "idle = 60"] {
        assert!(toml::from_str::<WorkersConfig>(unknown).is_err(), "{unknown}");
    }
}

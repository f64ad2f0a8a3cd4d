//! Tests of the table `[triggers]`.

use super::*;
use crate::duration::DurationText;
use crate::queue::{Rate, RetryPolicy};
use crate::schedule::{CatchUp, Overlap};
use std::time::Duration;

fn config(text: &str) -> TriggersConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The tables of the whole feature, as a developer writes them.
const WHOLE: &str = r#"
    [[schedule]]
    name = "nightly"
    cron = "0 3 * * *"
    timezone = "Europe/Berlin"
    overlap = "queue"
    catch-up = "all"
    max-lateness = "2h"
    catch-up-max = 10
    input = { full = true }

    [[schedule]]
    name = "often"
    every = "15m"
    enabled = false

    [[event]]
    type = "order.*"
    where = { "data.country" = ["uz", "ru"], "data.total" = { gte = 100 } }
    transform = "{ total: .data.total }"
    retry = { attempts = 8, first = "1s", factor = 2, max = "1h", jitter = true }
    order = "subject"
    batch = 10

    [[event]]
    name = "totals"
    type = "order.paid"
    batch = { size = 50, wait = "2s" }

    [[event]]
    name = "carts"
    type = "cart.*"
    worker = { class = "Cart", name = "{subject}", method = "add" }

    [[webhook]]
    name = "partner"
    type = "order.*"
    retry = { attempts = 3 }
    order = "subject"
    url = "https://example.com/hooks"
    secret = "WEBHOOK_SECRET"

    [jobs.resize]
    concurrency = 4
    rate = "100/m"
    timeout = "5m"
    key-concurrency = 1
    retention = "30d"
"#;

#[test]
fn the_whole_table_is_read_and_written() {
    let whole = config(WHOLE);
    assert_eq!(whole.check(), Ok(()));
    assert_eq!((whole.schedule[0].overlap, whole.schedule[0].catch_up), (Overlap::Queue, CatchUp::All));
    assert_eq!(whole.schedule[0].max_lateness.map(DurationText::get), Some(Duration::from_secs(7_200)));
    assert_eq!((whole.schedule[1].timezone.as_str(), whole.schedule[1].catch_up_max), ("UTC", 100));
    assert_eq!(whole.event[0].name(), "order-any");
    assert_eq!(whole.event[0].retry.policy(), RetryPolicy::default());
    let wait = Some(DurationText::from_secs(2));
    assert_eq!((whole.event[0].batch.size, whole.event[1].batch), (10, BatchConfig { size: 50, wait }));
    let carts = whole.event[2].worker.as_ref().map(|worker| (worker.class.as_str(), worker.method.as_deref()));
    assert_eq!(carts, Some(("Cart", Some("add"))));
    assert_eq!(whole.jobs["resize"].limit().rate.map(Rate::units), Some(100));
    let text = toml::to_string(&whole).expect("a table");
    assert_eq!(config(&text), whole);
}

#[test]
fn nothing_is_needed_but_a_name_and_a_time_or_a_type() {
    let least = config("[[schedule]]\nname = \"a\"\ncron = \"@daily\"\n[[event]]\ntype = \"**\"\n[jobs.b]\n");
    assert_eq!(least.check(), Ok(()));
    assert_eq!((least.schedule[0].overlap, least.schedule[0].catch_up), (Overlap::Skip, CatchUp::Last));
    assert_eq!((least.event[0].name(), least.event[0].batch), ("all".to_owned(), BatchConfig::default()));
    assert_eq!(least.jobs["b"], JobConfig::default());
    assert!(TriggersConfig::default().is_empty() && !least.is_empty());
}

#[test]
fn each_setting_has_its_bounds_and_errors_have_its_path() {
    let schedule = |rest: &str| format!("[[schedule]]\nname = \"a\"\n{rest}\n");
    let daily = |rest: &str| schedule(&format!("cron = \"@daily\"\n{rest}"));
    let event = |rest: &str| format!("[[event]]\ntype = \"a\"\n{rest}\n");
    let job = |rest: &str| format!("[jobs.a]\n{rest}\n");
    let long = "x".repeat(70_000);
    for (text, key) in [
        ("[[schedule]]\nname = \"A\"\ncron = \"@daily\"\n".to_owned(), "triggers.schedule[0].name"),
        (format!("{}{}", daily(""), daily("")), "triggers.schedule[1].name"),
        (schedule(""), "triggers.schedule[0].cron"),
        (schedule("cron = \"* * *\""), "triggers.schedule[0].cron"),
        (daily("every = \"1h\""), "triggers.schedule[0].every"),
        (schedule("every = \"1ms\""), "triggers.schedule[0].every"),
        (schedule("every = \"367d\""), "triggers.schedule[0].every"),
        (daily("timezone = \"Mars\""), "triggers.schedule[0].timezone"),
        (schedule("every = \"1h\"\ntimezone = \"Europe/Berlin\""), "triggers.schedule[0].timezone"),
        (daily("catch-up-max = 0"), "triggers.schedule[0].catch-up-max"),
        (daily("catch-up-max = 1001"), "triggers.schedule[0].catch-up-max"),
        (daily("max-lateness = \"0s\""), "triggers.schedule[0].max-lateness"),
        (daily(&format!("input = \"{long}\"")), "triggers.schedule[0].input"),
        ("[[event]]\ntype = \"a..b\"\n".to_owned(), "triggers.event[0].type"),
        (event("name = \"a b\""), "triggers.event[0].name"),
        (format!("{}{}", event(""), event("")), "triggers.event[1].name"),
        (event("where = { \"a.b\" = 1 }"), "triggers.event[0].where"),
        (event("transform = \".[\""), "triggers.event[0].transform"),
        (event("retry = { attempts = 0 }"), "triggers.event[0].retry.attempts"),
        (event("retry = { attempts = 101 }"), "triggers.event[0].retry.attempts"),
        (event("retry = { first = \"99ms\" }"), "triggers.event[0].retry.first"),
        (event("retry = { first = \"2d\" }"), "triggers.event[0].retry.first"),
        (event("retry = { factor = 0.5 }"), "triggers.event[0].retry.factor"),
        (event("retry = { factor = nan }"), "triggers.event[0].retry.factor"),
        (event("retry = { max = \"8d\" }"), "triggers.event[0].retry.max"),
        (event("retry = { first = \"2h\" }"), "triggers.event[0].retry.max"),
        (event("batch = 101"), "triggers.event[0].batch"),
        (event("batch = { size = 0 }"), "triggers.event[0].batch"),
        (event("batch = { size = 101, wait = \"1s\" }"), "triggers.event[0].batch"),
        (event("batch = { size = 1, wait = \"1s\" }"), "triggers.event[0].batch.wait"),
        (event("batch = { size = 2, wait = \"9ms\" }"), "triggers.event[0].batch.wait"),
        (event("batch = { size = 2, wait = \"301s\" }"), "triggers.event[0].batch.wait"),
        (event("batch = 2\norder = \"all\""), "triggers.event[0].batch"),
        (event("worker = { class = \"\", name = \"a\" }"), "triggers.event[0].worker.class"),
        (event("worker = { class = \"A\", name = \"{a\" }"), "triggers.event[0].worker.name"),
        (event("worker = { class = \"A\", name = \"a\", method = \"\" }"), "triggers.event[0].worker.method"),
        (event("batch = 2\nworker = { class = \"A\", name = \"a\" }"), "triggers.event[0].batch"),
        (daily("worker = { class = \"A\", name = \"{subject}\" }"), "triggers.schedule[0].worker.name"),
        (daily("overlap = \"cancel\"\nworker = { class = \"A\", name = \"a\" }"), "triggers.schedule[0].overlap"),
        (event("concurrency = 0"), "triggers.event[0].concurrency"),
        (event("concurrency = 1001"), "triggers.event[0].concurrency"),
        ("[jobs.\"A b\"]\n".to_owned(), "triggers.jobs.A b"),
        (job("concurrency = 0"), "triggers.jobs.a.concurrency"),
        (job("concurrency = 1001"), "triggers.jobs.a.concurrency"),
        (job("rate = \"100\""), "triggers.jobs.a.rate"),
        (job("timeout = \"2d\""), "triggers.jobs.a.timeout"),
        (job("priority = 101"), "triggers.jobs.a.priority"),
        (job("key-concurrency = 0"), "triggers.jobs.a.key-concurrency"),
        (job("key-concurrency = 1001"), "triggers.jobs.a.key-concurrency"),
        (job("retention = \"91d\""), "triggers.jobs.a.retention"),
    ] {
        let error = config(&text).check().expect_err(key);
        assert_eq!((error.key(), error.code()), (key, "bad-configuration"), "{error}");
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn there_are_at_most_a_hundred_of_each() {
    for (key, one) in [
        ("schedule", "[[schedule]]\nname = \"aN\"\ncron = \"@daily\"\n"),
        ("event", "[[event]]\nname = \"aN\"\ntype = \"a\"\n"),
        ("webhook", "[[webhook]]\nname = \"aN\"\ntype = \"a\"\nurl = \"https://example.com\"\nsecret = \"A\"\n"),
        ("jobs", "[jobs.aN]\n"),
    ] {
        let many = |count: usize| {
            let numbered = |number: usize| one.replace('N', &number.to_string());
            config(&(0..count).map(numbered).collect::<String>())
        };
        assert_eq!(many(100).check(), Ok(()), "{key}");
        assert_eq!(many(101).check().expect_err("one too many").key(), format!("triggers.{key}"));
    }
}

#[test]
fn unknown_and_misspelled_settings_are_refused() {
    for text in [
        "[[schedule]]\nname = \"a\"\ncrom = \"@daily\"",
        "[[schedule]]\ncron = \"@daily\"",
        "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\noverlap = \"drop\"",
        "[[schedule]]\nname = \"a\"\nevery = \"soon\"",
        "[[event]]\nname = \"a\"",
        "[[event]]\ntype = \"a\"\nretry = { tries = 3 }",
        "[[event]]\ntype = \"a\"\nworker = { class = \"A\" }",
        "[[event]]\ntype = \"a\"\nworker = \"A\"",
        "[jobs.a]\nconcurency = 3",
        "[queue]",
    ] {
        assert!(toml::from_str::<TriggersConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn names_follow_from_types() {
    for (event_type, name) in
        [("order.paid", "order-paid"), ("order.**", "order-all"), ("*.Paid_Late", "any-paid-late")]
    {
        let subscription: SubscriptionConfig = toml::from_str(&format!("type = \"{event_type}\"")).expect("a table");
        assert_eq!(subscription.name(), name);
    }
}

//! Tests of every command, on both backends.

use super::super::caps::TTL_MS_MAX;
use super::super::contract::{Command, CommandOutput, ErrorCode};
use super::{
    HOUR, MINUTE, TestBackend, backends, bytes, changed, entry, expire, get, increment, redis_url, run, set, swap,
};

#[tokio::test(flavor = "multi_thread")]
async fn values_are_set_read_and_deleted() {
    for backend in backends("values") {
        let cache = backend.runner();
        assert_eq!(get(&cache, "k").await, None);
        set(&cache, "k", "one", None).await;
        set(&cache, "k", "two", None).await;
        assert_eq!(get(&cache, "k").await.as_deref(), Some("two"));
        set(&cache, "empty", "", None).await;
        assert_eq!(get(&cache, "empty").await.as_deref(), Some(""));

        let keys = ["k", "none", "empty", "k"].map(str::to_owned).to_vec();
        let Ok(CommandOutput::Values(values)) = run(&cache, Command::GetMany(keys.into())).await else { panic!() };
        assert_eq!(values, [Some(bytes("two")), None, Some(bytes("")), Some(bytes("two"))]);
        let Ok(CommandOutput::Values(values)) = run(&cache, Command::GetMany(Vec::new().into())).await else {
            panic!()
        };
        assert!(values.is_empty());

        assert!(changed(&cache, Command::Delete("k".to_owned())).await);
        assert!(!changed(&cache, Command::Delete("k".to_owned())).await);
        assert_eq!(get(&cache, "k").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_absent_is_set_if_absent() {
    for backend in backends("absent") {
        let cache = backend.runner();
        assert!(changed(&cache, Command::SetIfAbsent(entry("k", "one", Some(MINUTE)))).await);
        assert!(!changed(&cache, Command::SetIfAbsent(entry("k", "two", None))).await);
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "k").await.as_deref(), Some("one"));
        backend.pass(MINUTE / 2).await;
        assert!(changed(&cache, Command::SetIfAbsent(entry("k", "three", None))).await);
        assert_eq!(get(&cache, "k").await.as_deref(), Some("three"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_expected_is_swapped() {
    for backend in backends("swap") {
        let cache = backend.runner();
        assert!(!swap(&cache, "k", Some("x"), "one").await);
        assert!(!swap(&cache, "k", Some(""), "one").await);
        assert!(swap(&cache, "k", None, "one").await);
        assert!(!swap(&cache, "k", None, "two").await);
        assert!(!swap(&cache, "k", Some("on"), "two").await);
        assert!(swap(&cache, "k", Some("one"), "").await);
        assert!(!swap(&cache, "k", None, "two").await);
        assert!(swap(&cache, "k", Some(""), "two").await);
        assert_eq!(get(&cache, "k").await.as_deref(), Some("two"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_read_whole_or_not_at_all() {
    for backend in backends("whole") {
        let writer = backend.runner();
        let writes = tokio::spawn(async move {
            for _ in 0..300 {
                set(&writer, "k", "a value", None).await;
                changed(&writer, Command::Delete("k".to_owned())).await;
            }
        });
        let cache = backend.runner();
        while !writes.is_finished() {
            let value = get(&cache, "k").await;
            assert!(value.as_deref().is_none_or(|value| value == "a value"), "{value:?}");
        }
        writes.await.expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swaps_do_not_lose_one_another() {
    for backend in backends("swaps") {
        set(&backend.runner(), "k", "0", None).await;
        let tasks = (0..8).map(|_| {
            let cache = backend.runner();
            tokio::spawn(async move {
                for _ in 0..20 {
                    loop {
                        let old = get(&cache, "k").await.expect("it is there");
                        let new = (old.parse::<u32>().expect("a number") + 1).to_string();
                        if swap(&cache, "k", Some(&old), &new).await {
                            break;
                        }
                    }
                }
            })
        });
        futures::future::try_join_all(tasks).await.expect("they end");
        assert_eq!(get(&backend.runner(), "k").await.as_deref(), Some("160"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_incremented() {
    for backend in backends("numbers") {
        let cache = backend.runner();
        assert_eq!(increment(&cache, "n", 5, None).await, Ok(5));
        assert_eq!(increment(&cache, "n", -7, None).await, Ok(-2));
        assert_eq!(get(&cache, "n").await.as_deref(), Some("-2"));
        // Beyond what a double holds.
        set(&cache, "n", "9007199254740992", None).await;
        assert_eq!(increment(&cache, "n", 1, None).await, Ok(9_007_199_254_740_993));
        for (value, by) in [("9223372036854775807", 1), ("-9223372036854775808", -1), ("1", i64::MAX)] {
            set(&cache, "n", value, None).await;
            let error = increment(&cache, "n", by, None).await.expect_err("it does not fit");
            assert_eq!(error.code, ErrorCode::NotANumber);
            assert_eq!(get(&cache, "n").await.as_deref(), Some(value));
        }
        for value in ["", "x", " 1", "1 ", "+1", "01", "-0", "1.0", "1e3"] {
            set(&cache, "n", value, None).await;
            let error = increment(&cache, "n", 1, None).await.expect_err(value);
            assert_eq!(error.code, ErrorCode::NotANumber, "{value:?}");
        }
        assert_eq!(increment(&cache, "low", i64::MIN, None).await, Ok(i64::MIN));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_keeps_the_time_it_was_made_with() {
    for backend in backends("number-ttl") {
        let cache = backend.runner();
        assert_eq!(increment(&cache, "n", 1, Some(MINUTE)).await, Ok(1));
        assert_eq!(increment(&cache, "n", 1, Some(HOUR)).await, Ok(2));
        assert_eq!(increment(&cache, "n", 1, None).await, Ok(3));
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "n").await.as_deref(), Some("3"));
        backend.pass(MINUTE / 2).await;
        assert_eq!(increment(&cache, "n", 1, None).await, Ok(1));
        assert_eq!(increment(&cache, "n", 1, Some(MINUTE)).await, Ok(2));
        backend.pass(HOUR).await;
        assert_eq!(get(&cache, "n").await.as_deref(), Some("2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_gone_after_their_time() {
    for backend in backends("ttl") {
        let cache = backend.runner();
        set(&cache, "short", "v", Some(MINUTE)).await;
        set(&cache, "long", "v", Some(HOUR)).await;
        set(&cache, "at-once", "v", Some(0)).await;
        set(&cache, "ages", "v", Some(u64::MAX)).await;
        set(&cache, "replaced", "v", Some(MINUTE)).await;
        set(&cache, "replaced", "v", None).await;
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "short").await.as_deref(), Some("v"));
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "short").await, None);
        assert!(!changed(&cache, Command::Delete("short".to_owned())).await);
        assert_eq!(get(&cache, "at-once").await, None);
        for key in ["long", "ages", "replaced"] {
            assert_eq!(get(&cache, key).await.as_deref(), Some("v"), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_can_be_changed() {
    for backend in backends("expire") {
        let cache = backend.runner();
        assert!(!expire(&cache, "k", Some(MINUTE)).await);
        assert!(!expire(&cache, "k", None).await);
        set(&cache, "k", "v", None).await;
        set(&cache, "kept", "v", Some(MINUTE)).await;
        assert!(expire(&cache, "k", Some(MINUTE)).await);
        assert!(expire(&cache, "kept", None).await);
        assert!(expire(&cache, "kept", None).await);
        assert!(expire(&cache, "kept", Some(TTL_MS_MAX + 1)).await);
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "k").await.as_deref(), Some("v"));
        backend.pass(MINUTE / 2).await;
        assert_eq!(get(&cache, "k").await, None);
        assert_eq!(get(&cache, "kept").await.as_deref(), Some("v"));
        assert!(!expire(&cache, "k", Some(MINUTE)).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_a_cap_is_refused() {
    for backend in backends("caps") {
        let cache = backend.runner();
        let long = "k".repeat(65);
        let large = "v".repeat(4097);
        let swapped = super::Swap { entry: entry("k", "v", None), expected: Some(bytes(&large)) };
        for (command, code) in [
            (Command::Get(String::new()), ErrorCode::InvalidKey),
            (Command::Get(long.clone()), ErrorCode::InvalidKey),
            (Command::Lease(long.clone()), ErrorCode::InvalidKey),
            (Command::Delete(long.clone()), ErrorCode::InvalidKey),
            (Command::GetMany(vec!["k".to_owned(), String::new()].into()), ErrorCode::InvalidKey),
            (Command::GetMany(vec!["k".to_owned(); 9].into()), ErrorCode::TooLarge),
            (Command::Set(entry(&long, "v", None)), ErrorCode::InvalidKey),
            (Command::Set(entry("k", &large, None)), ErrorCode::TooLarge),
            (Command::SetIfAbsent(entry("k", &large, None)), ErrorCode::TooLarge),
            (Command::CompareAndSwap(swapped), ErrorCode::TooLarge),
        ] {
            let error = run(&cache, command).await.expect_err("it is over a cap");
            assert_eq!(error.code, code, "{}", error.message);
        }
        assert_eq!(get(&cache, "k").await, None);
        let (key, value) = (&long[..64], &large[..4096]);
        set(&cache, key, value, None).await;
        assert_eq!(get(&cache, key).await.as_deref(), Some(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn components_do_not_reach_each_others_keys() {
    let Some(url) = redis_url() else { return };
    let names = ["a", "a:b", "a:", "{a}", "a%3Ab", "ä"];
    let caches = names.map(|name| TestBackend::in_redis(&url, "isolation", name).runner());
    for (name, cache) in names.iter().zip(&caches) {
        set(cache, "b:k", name, None).await;
        set(cache, "k", name, None).await;
    }
    for (name, cache) in names.iter().zip(&caches) {
        assert_eq!(get(cache, "b:k").await.as_deref(), Some(*name));
        assert_eq!(get(cache, "k").await.as_deref(), Some(*name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_what_a_value_is_does_not_count() {
    for backend in backends("tags") {
        let cache = backend.runner();
        for tag in ["\x01", "\x02", "\x03"] {
            let exact = format!("{tag}{}", "v".repeat(4096));
            set(&cache, "k", &exact, None).await;
            assert_eq!(get(&cache, "k").await, Some(exact.clone()));
            let over =
                run(&cache, Command::Set(entry("k", &format!("{exact}v"), None))).await.expect_err("one too many");
            assert_eq!(over.code, ErrorCode::TooLarge);
        }
    }
}

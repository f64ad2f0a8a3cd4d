//! Which failures are one issue, and which are not.

use super::*;
use elias_names::Environment;
use std::collections::{HashMap, HashSet};

fn service() -> ServiceId {
    ServiceId {
        tenant: "acme".parse().expect("a name"),
        component: "shop".parse().expect("a name"),
        environment: Environment::Production,
    }
}

fn exception(error: &str) -> Group {
    let failure = Failure { code: Some("exception"), status: 500, source: "GET /", error: Some(error) };
    group(&service(), &failure)
}

/// One of 50 kinds of failures with its line: ten ways to fail, five functions each.
fn kind(number: usize, occurrence: usize) -> (String, u32) {
    let (way, place) = (number / 5, number % 5);
    let line = u32::try_from(10 + number).expect("a line");
    let at = |function: &str| format!("    at {function} (src/shop.ts:{line}:7)\n    at fetch (src/index.ts:4:9)");
    let function = ["load", "store", "price", "ship", "close"][place];
    let text = match way {
        // The same text everywhere: the function tells them apart.
        0 => format!("Error: order {occurrence} is late\n{}", at(function)),
        1 => format!("TypeError: not a function\n{}", at("fetch")),
        // Without a name for the function the line does.
        2 => format!("Error: no user 'user{occurrence}'\n    at src/routes.ts:{line}:3"),
        3 => format!("TypeError: cannot read property 'p{place}' of undefined\n    at fetch (src/index.ts:4:9)"),
        // The same place with other texts.
        4 => format!("Error: {} {occurrence}\n    at check (src/check.ts:3:1)", ["a", "b", "c", "d", "e"][place]),
        5 => format!("MyError{}: gone\n    at check (src/check.ts:3:1)", ["A", "B", "C", "D", "E"][place]),
        // The same function in other files.
        6 => format!("Error: no {occurrence}\n    at run (src/{function}.ts:{line}:1)"),
        // The same library from other callers.
        7 => format!(
            "ZodError: invalid\n    at parse (node_modules/zod/index.js:1:{occurrence})\n    \
             at {function} (src/z.ts:{line}:1)"
        ),
        8 => format!("ReferenceError: '{function}' is not defined\n    at fetch (src/index.ts:4:9)"),
        _ => format!("Error: {function}: 5f{occurrence:06x}\n    at fetch (src/index.ts:4:9)"),
    };
    (text, line)
}

#[test]
fn a_thousand_failures_of_fifty_kinds_are_fifty_issues_each_at_its_line() {
    let mut ids: HashMap<usize, HashSet<String>> = HashMap::new();
    for number in 0..1_000 {
        let (text, line) = kind(number % 50, number / 50);
        let group = exception(&text);
        let place = group.place.expect("a place");
        if [0, 2, 6, 7].contains(&(number % 50 / 5)) {
            assert_eq!(place.line, line, "{text}");
        }
        assert!(place.file.starts_with("src/"), "{text}");
        ids.entry(number % 50).or_default().insert(group.id);
    }
    assert!(ids.values().all(|of_kind| of_kind.len() == 1), "no kind is more than one issue: {ids:?}");
    let all: HashSet<_> = ids.into_values().flatten().collect();
    assert_eq!(all.len(), 50, "no two kinds are one issue");
}

#[test]
fn an_edit_above_makes_no_new_issue() {
    let at =
        |line: u32| exception(&format!("Error: no\n    at load (src/a.ts:{line}:1)\n    at f (src/b.ts:{line}:1)"));
    assert_eq!(at(3).id, at(14).id);
    assert_eq!(at(14).place.map(|place| place.line), Some(14));
}

#[test]
fn recursion_is_one_issue_however_deep() {
    let deep = |depth: usize| {
        let frames = "\n    at walk (src/tree.ts:9:3)".repeat(depth);
        exception(&format!("Error: too deep{frames}\n    at fetch (src/index.ts:1:1)")).id
    };
    assert_eq!(deep(3), deep(40));
}

#[test]
fn a_guest_that_was_ended_is_grouped_by_its_handler() {
    let ended = |code, function: &str| {
        let text = format!("the guest used up its fuel\n    at {function} (src/x.ts:1:1)\n    at fetch (src/i.ts:2:2)");
        group(&service(), &Failure { code: Some(code), status: 500, source: "GET /", error: Some(&text) }).id
    };
    assert_eq!(ended("out-of-fuel", "inner"), ended("out-of-fuel", "other"));
    assert_ne!(ended("out-of-fuel", "inner"), ended("deadline", "inner"));
}

#[test]
fn without_a_stack_the_trigger_counts_and_a_path_does_not() {
    let plain = |source, status| {
        let failure = Failure { code: None, status, source, error: None };
        group(&service(), &failure)
    };
    assert_eq!(plain("GET /a", 500).id, plain("POST /b/c?d", 500).id);
    assert_ne!(plain("GET /a", 500).id, plain("GET /a", 502).id);
    assert_ne!(plain("schedule nightly", 500).id, plain("schedule hourly", 500).id);
    assert_eq!(plain("worker Cart/ada", 500).id, plain("worker Cart/bo", 500).id);
    assert_eq!(plain("GET /a", 500).title, "The handler responded with 500");
}

#[test]
fn services_have_issues_of_their_own() {
    let other = ServiceId { environment: Environment::Staging, ..service() };
    let failure = Failure { code: Some("exception"), status: 500, source: "GET /", error: Some("Error: a") };
    assert_ne!(group(&service(), &failure).id, group(&other, &failure).id);
}

#[test]
fn hostile_texts_are_bounded() {
    let long = format!("Error: {}\n    at {} (src/a.ts:1:1)", "é".repeat(1_000_000), "f".repeat(100_000));
    let group = exception(&long);
    assert!(group.title.len() <= TITLE_BYTES_MAX && group.id.len() == ID_DIGITS);
    assert!(group.place.expect("a place").function.expect("a name").len() <= NAME_BYTES_MAX);
    let frames = "\n    at f (src/a.ts:1:1)".repeat(100_000);
    assert_eq!(exception(&format!("Error{frames}")).title, "Error");
    for text in ["", "\n", "\n    at ", "    at f (a:1:1)", "\u{0}\n    at \u{1b}[2J (\u{202e}:1:1)"] {
        assert_eq!(exception(text).id.len(), ID_DIGITS, "{text:?}");
    }
}

//! Tests of jq expressions: results, limits and hostile input.

use super::*;
use serde_json::{Value, json};

fn event() -> Value {
    let data = json!({
        "total": 100, "country": "uz", "items": [{ "sku": "a", "price": 3 }, { "sku": "b", "price": 4.5 }],
    });
    json!({ "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/shop", "subject": "42", "data": data })
}

fn run(expression: &str) -> Result<Option<Value>, TransformError> {
    let transform = Transform::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let output = transform.run(event().to_string().as_bytes())?;
    output.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| TransformError::NotJson)
}

#[test]
fn data_are_made_from_the_event() {
    for (expression, expected) in [
        (".data.total", json!(100)),
        (
            "{ total: .data.total, of: .subject, country: (.data.country | ascii_upcase) }",
            json!({ "total": 100, "of": "42", "country": "UZ" }),
        ),
        ("[.data.items[] | select(.price > 4) | .sku]", json!(["b"])),
        (".data.items | map(.price) | add", json!(7.5)),
        (".data | with_entries(select(.key != \"items\"))", json!({ "total": 100, "country": "uz" })),
        (".data | del(.items) | .total += 1", json!({ "total": 101, "country": "uz" })),
        (".data.items |= map(.sku) | .data.items | join(\", \")", json!("a, b")),
        ("if .data.total >= 100 then \"large\" else \"small\" end", json!("large")),
        ("\"\\(.type): \\(.data.total)\"", json!("order.paid: 100")),
        (".data.none // \"nothing\"", json!("nothing")),
        ("reduce .data.items[] as { price: $price } (0; . + $price)", json!(7.5)),
        (".data.items | sort_by(-.price) | first.sku", json!("b")),
        ("[range(3)] | map(. * 2)", json!([0, 2, 4])),
        ("\"ab\" * 2", json!("abab")),
        ("try error(\"x\") catch .", json!("x")),
        ("(.subject | tonumber) + 1", json!(43)),
        ("@base64 \"\\(.subject)\"", json!("NDI=")),
        ("[.data.items[].sku] | unique | length", json!(2)),
        (".data | keys", json!(["country", "items", "total"])),
        (".data | pick(.country)", json!({ "country": "uz" })),
        ("[limit(2; range(10))]", json!([0, 1])),
        (". as { subject: $subject } | { $subject }", json!({ "subject": "42" })),
        ("label $out | .data.items[] | .sku, break $out", json!("a")),
    ] {
        assert_eq!(run(expression), Ok(Some(expected)), "{expression}");
    }
}

#[test]
fn there_may_be_no_output_and_several_are_an_error() {
    assert_eq!(run(".data | select(.total > 1000)"), Ok(None));
    assert_eq!(run("1, 2"), Err(TransformError::SeveralOutputs));
    assert_eq!(run("infinite"), run("1 / 0"));
    let failed = run(".data.total.country").expect_err("an index into a number").to_string();
    assert!(failed.contains("cannot index"), "{failed}");
}

#[test]
fn every_definition_that_is_allowed_is_there() {
    let all: Vec<_> = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).collect();
    for (name, arguments) in DEFINITIONS {
        let found = all.iter().any(|definition| (definition.name, definition.args.len()) == (name, arguments));
        assert!(found, "{name}/{arguments}");
    }
}

#[test]
fn programs_that_never_end_or_ask_for_all_memory_are_stopped() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    for expression in [
        "[range(1000000000)]",
        "last(range(1000000000))",
        "reduce range(100000000) as $i (0; . + 1)",
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i ([1]; [., .])",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(100000) as $i (1; [.])",
        "[range(1000)] as $a | [$a[] | $a[] | $a[]] | length",
        "first(range(1000000000) | select(. < 0))",
        "[range(1000000000) | try error(\"x\") catch .] | length",
        "(try last(range(1000000000)) catch 1), 2 | select(. == 2)",
        "[range(300)] | [.[] as $i | .[] as $j | [$i, $j]] | group_by(.[0]) | map(sort) | add | sort | length",
        "[range(100000)] | map(tostring) | join(\"xxxxxxxxxxxxxxxx\")",
        "[range(20000)] as $a | reduce range(20000) as $i (0; first($a[]))",
        &format!("[range(100000)] | map({deep}) | length"),
    ] {
        assert_eq!(run(expression), Err(TransformError::TooManySteps), "{expression}");
    }
    for expression in [
        "\"x\" * 1000000000",
        ".data.items[[1]]",
        ".data.items | has([1])",
        "reduce range(100) as $i (10; . * .) | . + 0",
    ] {
        assert!(matches!(run(expression), Err(TransformError::Failed(_) | TransformError::NotJson)), "{expression}");
    }
    assert!(matches!(run("\"x\" * 1000000000"), Err(TransformError::Failed(_))));
}

#[test]
fn what_is_not_jq_or_reads_something_else_is_refused() {
    for (expression, expected) in [
        ("", "1 to 4096 bytes"),
        (".[", "not a jq expression"),
        (". |", "not a jq expression"),
        ("1 +* 2", "not a jq expression"),
        ("(".repeat(4_000).as_str(), "not a jq expression"),
        (format!("{}1{}", "(".repeat(100), ")".repeat(100)).as_str(), ""),
        (format!("{}1", "1 | ".repeat(1_000)).as_str(), "too many terms"),
        (format!("{}.", "try ".repeat(1_000)).as_str(), "too many terms"),
        ("def f: f; f", "must not define functions"),
        ("env", "the filter `env`"),
        ("$ENV", "the variable `$ENV`"),
        ("now", "the filter `now`"),
        ("input", "the filter `input`"),
        ("halt", "the filter `halt`"),
        ("repeat(1)", "the filter `repeat`"),
        ("recurse", "the filter `recurse`"),
        ("test(\"a\")", "the filter `test`"),
        ("$x", "the variable `$x`"),
    ] {
        match Transform::compile(expression) {
            Ok(_) => assert_eq!(expected, "", "{expression}"),
            Err(error) => assert!(error.to_string().contains(expected), "{expression}: {error}"),
        }
    }
}

#[test]
fn inputs_that_are_not_json_or_too_deep_are_refused_and_numbers_keep_their_digits() {
    let same = Transform::compile(".").expect("an expression");
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for wrong in ["", "{", "1 2", "NaN", "# nothing\n1", "{a:1}", &nested(DEPTH_MAX + 1), &nested(1 << 20)] {
        assert_eq!(same.run(wrong.as_bytes()), Err(TransformError::InputNotJson), "{:.20}", wrong);
    }
    let digits = |count: usize| "9".repeat(count);
    for wrong in [digits(DIGITS_MAX + 1), format!("[1, -{}]", digits(1 << 20)), format!("0.{}", digits(DIGITS_MAX + 1))]
    {
        assert_eq!(same.run(wrong.as_bytes()), Err(TransformError::InputNotJson), "{wrong:.20}");
    }
    for good in [digits(DIGITS_MAX), format!("[\"{}\"]", digits(DIGITS_MAX + 1))] {
        assert_eq!(same.run(good.as_bytes()), Ok(Some(good.clone())), "{good:.20}");
    }
    let brackets_in_a_text = format!("[{:?}]", "[\"\\".repeat(1_000));
    let large = "{\"id\":123456789012345678901234567890}";
    for good in [large, "[1.10]", nested(DEPTH_MAX).as_str(), brackets_in_a_text.as_str()] {
        assert_eq!(same.run(good.as_bytes()), Ok(Some(good.to_owned())), "{:.20}", good);
    }
}

#[test]
fn large_integers_cost_their_size() {
    // Each has 416 bytes, and is in a host's memory as long as the array is.
    let input = "9".repeat(DIGITS_MAX);
    for expression in [
        "[range(900000) as $i | . + $i] | length",
        ". as $n | [range(100000)] | map($n - .) | length",
        "[range(100000) as $i | -.] | length",
        "[range(100000) as $i | . % 7] | length",
        "last(range(100000) as $i | . + 1 | tostring)",
    ] {
        let transform = Transform::compile(expression).expect("an expression");
        assert_eq!(transform.run(input.as_bytes()), Err(TransformError::TooManySteps), "{expression}");
    }
    let sum = Transform::compile("[range(100) as $i | . + $i] | length").expect("an expression");
    assert_eq!(sum.run(input.as_bytes()), Ok(Some("100".to_owned())));
}

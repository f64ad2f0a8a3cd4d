//! What is encoded is what a worker reads, and whatever a worker wrote can be shown.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// JSON and its encoding, which the test of the guest's encoder has too.
const SAMPLES: &str = include_str!("samples.json");

#[test]
fn json_is_encoded_as_workers_encode_it() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).expect("JSON");
    for sample in &samples {
        let encoded = from_json(&sample["json"]).expect("it is small");
        assert_eq!(Some(encoded.as_str()), sample["text"].as_str());
        assert_eq!(to_json(&encoded).expect("it is one"), sample["json"]);
    }
    assert!(samples.len() > 5);
}

fn shown(text: &str) -> Value {
    to_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_json_does_not_have_is_shown_as_the_next_best() {
    for (text, value) in [
        (r#"[1,["undefined"]]"#, json!(null)),
        (r#"[1,["bigint","-5"]]"#, json!("-5")),
        (r#"[1,[2],["array",["number","NaN"],["number","-Infinity"]]]"#, json!(["NaN", "-Infinity"])),
        (r#"[1,[2],["map","a",1,"b",[3]],["set",2,"c"]]"#, json!({ "a": 1, "b": [2, "c"] })),
        (r#"[1,[2],["map","a",1,2,[3]],{}]"#, json!([["a", 1], [2, {}]])),
        (r#"[1,[2],["map"]]"#, json!({})),
        (r#"[1,[2],["date",1774785600123]]"#, json!("2026-03-29T12:00:00.123Z")),
        (r#"[1,[2],["date",-1e13]]"#, json!("1653-02-10T06:13:20.000Z")),
        (r#"[1,[2],["date",null]]"#, json!(null)),
        (r#"[1,[2],["regexp","a+","gi"]]"#, json!("/a+/gi")),
        (r#"[1,[2],["sparse",4294967295,{"7":true}]]"#, json!({ "length": 4_294_967_295_u32, "7": true })),
        (r#"[1,[2],["boxed","a"]]"#, json!("a")),
        (r#"[1,[2],["exception","AbortError","gone"]]"#, json!({ "name": "AbortError", "message": "gone" })),
        (
            r#"[1,[2],["error","TypeError","wrong",null,[3]],["error","Error",null,"at a.js:1"]]"#,
            json!({ "name": "TypeError", "message": "wrong", "cause": { "name": "Error", "stack": "at a.js:1" } }),
        ),
        (r#"[1,[2],["buffer","AQIDBA==",8]]"#, json!("AQIDBA==")),
        (r#"[1,[2],["view","Uint8Array",[3],1,2],["buffer","AQIDBA=="]]"#, json!("AgM=")),
        (r#"[1,[2],["view","Uint16Array",[3],1],["buffer","AQIDBA=="]]"#, json!("AgM=")),
        (
            r#"[1,[2],{"self":[2],"one":[3],"two":[3]},["array",[2]]]"#,
            json!({ "self": "[Circular]", "one": ["[Circular]"], "two": ["[Circular]"] }),
        ),
    ] {
        assert_eq!(shown(text), value, "{text}");
    }
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        "1",
        "[]",
        "[1]",
        "[2,1]",
        "[1,{}]",
        "[1,[0]]",
        "[1,[2]]",
        "[1,[2.5],{}]",
        "[1,[-2],{}]",
        "[1,[2],5]",
        "[1,[2],[]]",
        r#"[1,["number","1"]]"#,
        r#"[1,["symbol"]]"#,
        r#"[1,[2],["map",1]]"#,
        r#"[1,[2],["promise"]]"#,
        r#"[1,[2],["error",null,null,null]]"#,
        r#"[1,[2],["buffer","?"]]"#,
        r#"[1,[2],["view","Uint8Array",[2],0]]"#,
        r#"[1,[2],["view","Uint8Array",[3],5],["buffer","AQIDBA=="]]"#,
        r#"[1,[2],["view","Uint32Array",[3],0,2],["buffer","AQIDBA=="]]"#,
        r#"[1,[2],["view","Uint32Array",[3],0,18446744073709551615],["buffer","AQIDBA=="]]"#,
        r#"[1,[2],["view","Function",[3],0],["buffer","AQIDBA=="]]"#,
    ] {
        assert!(matches!(to_json(text), Err(ValueError::Malformed(_))), "{text}: {:?}", to_json(text));
    }
    assert_eq!(to_json(&format!("[1,\"{}\"]", "x".repeat(3 << 20))), Err(ValueError::TooLarge));
}

#[test]
fn the_size_of_what_is_sent_has_a_bound() {
    let of_bytes = |bytes: usize| from_json(&json!(["x".repeat(bytes)]));
    let around = from_json(&json!([""])).expect("it is small").len();
    assert!(of_bytes(ENCODED_BYTES_MAX - around).is_ok());
    assert_eq!(of_bytes(ENCODED_BYTES_MAX - around + 1), Err(ValueError::TooLarge));
    assert_eq!(from_json(&json!(vec![json!([]); 200_000])), Err(ValueError::TooLarge));
    // The largest that is sent is shown whole.
    let largest = json!(vec![1; ENCODED_BYTES_MAX / 2 - 10]);
    assert_eq!(shown(&from_json(&largest).expect("it fits")), largest);
}

#[test]
fn the_depth_of_what_is_sent_has_a_bound() {
    let nested = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let deepest = nested(DEPTH_MAX);
    assert_eq!(shown(&from_json(&deepest).expect("it fits")), deepest);
    assert_eq!(from_json(&nested(DEPTH_MAX + 1)), Err(ValueError::TooDeep));
}

#[test]
fn what_a_worker_has_is_shown_up_to_a_bound() {
    // Deeper than any JSON that is sent, and than any stack.
    let deep: String = (3..100_000).map(|number| format!(",[\"array\",[{number}]]")).collect();
    let text = shown(&format!("[1,[2]{deep},[\"array\"]]")).to_string();
    assert_eq!(text, format!("{}\"[Truncated]\"{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)));

    // Each of these has the next one ten times, so that all of them together would never end.
    let bomb: String = (3..40).map(|number| format!(",[\"array\"{}]", format!(",[{number}]").repeat(10))).collect();
    for leaf in [r#"["array"]"#, r#"["buffer","AQIDBA=="]"#, r#"{"key":"value"}"#, r#"["date",0]"#] {
        let text = shown(&format!("[1,[2]{bomb},{leaf}]")).to_string();
        assert!(text.contains("[Truncated]"), "{leaf}");
        assert!((SHOWN_BYTES_MAX / 2..SHOWN_BYTES_MAX + 10_000).contains(&text.len()), "{leaf}: {}", text.len());
    }

    // Many views of one buffer.
    let buffer = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![7; 300_000]);
    let views: String = (0..1_000).map(|_| ",[\"view\",\"Uint8Array\",[3],0]").collect();
    let slots: String = (4..1_004).map(|number| format!(",[{number}]")).collect();
    let text = shown(&format!("[1,[2],[\"array\"{slots}],[\"buffer\",\"{buffer}\"]{views}]")).to_string();
    assert!(text.len() < SHOWN_BYTES_MAX + 10_000 && text.contains("[Truncated]"), "{}", text.len());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // What is shown of negative zero is `-0`, which is the same number in another text.
        any::<f64>().prop_map(|number| Value::from(if number == 0.0 { 0.5 } else { number })),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 200, 10, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..10)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The tables of no worker, but near those of one.
fn any_table() -> impl Strategy<Value = Value> {
    let kinds = ["array", "map", "set", "date", "error", "boxed", "buffer", "view", "sparse", "number", "Uint16Array"];
    let slot = prop_oneof![
        (0u8..8).prop_map(|number| json!([number])),
        any::<u8>().prop_map(Value::from),
        prop::sample::select(vec!["AQIDBA==", "NaN", ""]).prop_map(Value::from),
        Just(Value::Null),
        Just(json!({ "key": [3] })),
    ];
    let entry = (prop::sample::select(kinds.to_vec()), prop::collection::vec(slot, 0..5)).prop_map(|(kind, slots)| {
        let mut entry = vec![Value::from(kind)];
        entry.extend(slots);
        Value::from(entry)
    });
    prop::collection::vec(entry, 0..8).prop_map(|entries| {
        let mut table = vec![json!(1), json!([2])];
        table.extend(entries);
        Value::from(table)
    })
}

proptest! {
    #[test]
    fn json_in_and_out_is_the_identity(value in any_json()) {
        let text = from_json(&value).expect("it is small");
        prop_assert_eq!(to_json(&text).expect("it is one"), value);
    }

    #[test]
    fn any_table_is_shown_or_refused(table in any_table()) {
        // Neither a panic nor a loop.
        let text = table.to_string();
        if let Ok(shown) = to_json(&text) {
            prop_assert!(shown.to_string().len() < SHOWN_BYTES_MAX);
        }
    }
}

#[test]
fn bytes_and_texts_are_told_from_other_values() {
    for (text, content) in [
        (r#"[1,"aGk="]"#, Some(Content::Text("aGk=".to_owned()))),
        (r#"[1,[2],["buffer","aGk="]]"#, Some(Content::Bytes(b"hi".to_vec()))),
        (r#"[1,[3],["buffer","aGk="],["view","Uint8Array",[2],1,1]]"#, Some(Content::Bytes(b"i".to_vec()))),
        ("[1,null]", None),
        (r#"[1,["undefined"]]"#, None),
        ("[1,[2],{}]", None),
        (r#"[1,[2],["array","a"]]"#, None),
    ] {
        assert_eq!(to_content(text), Ok(content), "{text}");
    }
    assert!(to_content("[2,null]").is_err() && to_content(r#"[1,[2],["view","Uint8Array",[9],0,1]]"#).is_err());
    let large = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![0; SHOWN_BYTES_MAX]);
    assert_eq!(to_content(&format!(r#"[1,[2],["buffer","{large}"]]"#)), Err(ValueError::TooLarge));
}

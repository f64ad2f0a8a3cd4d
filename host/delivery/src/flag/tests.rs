use super::*;
use crate::setting::InvalidSetting;
use serde_json::{Map, Value, json};

const SCOPE: &str = "acme";

fn set(definition: Value) -> Result<FlagSet, String> {
    let definition: FlagDefinition = serde_json::from_value(definition).map_err(|error| error.to_string())?;
    let mut set = FlagSet::default();
    set.insert(SCOPE, "banner", definition).map_err(|error: InvalidSetting| error.to_string())?;
    Ok(set)
}

/// A flag with the variants `on` and `off`, whose default is `off`.
fn switch(rules: &Value) -> FlagSet {
    let variants = json!({ "on": true, "off": false });
    set(json!({ "variants": variants, "defaultVariant": "off", "rules": rules })).expect("a definition")
}

/// The variant and the reason; the code of an error in the place of the reason.
fn evaluate(set: &FlagSet, context: &EvaluationContext<'_>) -> (Option<String>, String) {
    match set.get("banner").expect("the flag").evaluate(ValueType::Boolean, context) {
        Ok(resolution) => (resolution.variant.map(|(name, _)| name.to_string()), format!("{:?}", resolution.reason)),
        Err(error) => (None, format!("{:?}", error.code)),
    }
}

fn user(key: &str) -> EvaluationContext<'_> {
    EvaluationContext { targeting_key: Some(key), ..EvaluationContext::default() }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[test]
fn the_first_rule_that_includes_an_evaluation_decides() {
    let set = switch(&json!([
        { "users": ["eve"], "variant": "off" },
        { "users": ["ada", "bob"], "attribute": "country", "values": ["UZ", 7], "variant": "on" },
        { "organization": "o1", "variant": "on" },
        { "claim": "groups", "value": "beta", "variant": "on" },
    ]));
    let (uz, seven, de) =
        (object(json!({ "country": "UZ" })), object(json!({ "country": 7.0 })), object(json!({ "country": "DE" })));
    let claims = object(json!({ "groups": ["x", "beta"] }));
    let on = |reason: &str| (Some("on".to_owned()), reason.to_owned());
    let off = |reason: &str| (Some("off".to_owned()), reason.to_owned());
    for (context, expected) in [
        (EvaluationContext { organization: Some("o1"), ..user("eve") }, off("TargetingMatch")),
        (EvaluationContext { attributes: Some(&uz), ..user("ada") }, on("TargetingMatch")),
        (EvaluationContext { attributes: Some(&seven), ..user("bob") }, on("TargetingMatch")),
        (EvaluationContext { attributes: Some(&de), ..user("ada") }, off("Default")),
        (EvaluationContext { attributes: Some(&uz), ..user("carl") }, off("Default")),
        (EvaluationContext { organization: Some("o1"), ..user("carl") }, on("TargetingMatch")),
        (EvaluationContext { claims: Some(&claims), ..user("carl") }, on("TargetingMatch")),
        (EvaluationContext::default(), off("Default")),
    ] {
        assert_eq!(evaluate(&set, &context), expected, "{context:?}");
    }
}

#[test]
fn a_flag_without_rules_is_static_and_a_disabled_one_has_no_value() {
    assert_eq!(evaluate(&switch(&json!([])), &user("ada")), (Some("off".to_owned()), "Static".to_owned()));
    let disabled = set(json!({
        "state": "DISABLED", "variants": { "on": true }, "defaultVariant": "on", "metadata": { "team": "web" },
    }));
    let disabled = disabled.expect("a definition");
    let resolution = disabled.get("banner").expect("it is there").evaluate(ValueType::String, &user("ada"));
    let resolution = resolution.expect("no error: the type is not looked at");
    assert_eq!((resolution.variant, resolution.reason), (None, Reason::Disabled));
    assert_eq!(resolution.metadata.as_deref(), Some(r#"{"team":"web"}"#));
}

#[test]
fn another_type_is_a_mismatch() {
    let number = set(json!({ "variants": { "a": 1, "b": 2.5 }, "defaultVariant": "b" })).expect("a definition");
    let flag = number.get("banner").expect("the flag");
    let resolution = flag.evaluate(ValueType::Number, &user("ada")).expect("a number");
    assert_eq!(resolution.variant.map(|(_, value)| value.to_string()).as_deref(), Some("2.5"));
    let refused = flag.evaluate(ValueType::String, &user("ada")).expect_err("it is a number");
    assert_eq!(refused.code, FlagErrorCode::TypeMismatch);
    assert_eq!(refused.message, "the values of the flag have the type number, not string");
}

#[test]
fn a_split_needs_a_targeting_key_once_a_rule_before_it_has_not_decided() {
    let set = switch(&json!([
        { "organization": "o1", "variant": "on" },
        { "split": [{ "variant": "on", "percent": 50 }] },
    ]));
    let of_organization = EvaluationContext { organization: Some("o1"), ..EvaluationContext::default() };
    assert_eq!(evaluate(&set, &of_organization).1, "TargetingMatch");
    assert_eq!(evaluate(&set, &EvaluationContext::default()).1, "TargetingKeyMissing");
    assert_eq!(evaluate(&set, &user("")).1, "TargetingKeyMissing");
}

#[test]
fn a_share_has_its_percentage_of_the_keys_and_keeps_them_as_it_grows() {
    let keys: Vec<String> = (0..20_000).map(|number| format!("user-{number}")).collect();
    let included = |percent: f64| -> Vec<bool> {
        let split =
            json!([{ "split": [{ "variant": "on", "percent": percent }, { "variant": "off", "percent": 10 }] }]);
        let set = switch(&split);
        keys.iter().map(|key| evaluate(&set, &user(key)).0.as_deref() == Some("on")).collect()
    };
    let (ten, thirty) = (included(10.0), included(30.0));
    for (included, percent) in [(&ten, 10.0), (&thirty, 30.0)] {
        let share = included.iter().filter(|on| **on).count() as f64 / keys.len() as f64 * 100.0;
        assert!((share - percent).abs() < 1.5, "{share} % of {percent} %");
    }
    assert!(ten.iter().zip(&thirty).all(|(before, after)| !before || *after), "who is in stays in");
    assert!(included(0.0).iter().all(|on| !on), "nobody");
}

#[test]
fn keys_in_no_share_go_on_to_the_next_rule() {
    let set = switch(&json!([
        { "split": [{ "variant": "off", "percent": 50 }] },
        { "attribute": "late", "values": [true], "variant": "on" },
    ]));
    let late = object(json!({ "late": true }));
    let reasons: std::collections::BTreeSet<_> = (0..100)
        .map(|number| {
            let key = format!("user-{number}");
            evaluate(&set, &EvaluationContext { attributes: Some(&late), ..user(&key) }).1
        })
        .collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["Split", "TargetingMatch"]);
}

#[test]
fn definitions_that_cannot_be_used_are_refused_with_their_key() {
    let with = |key: &str, value: Value| {
        let mut definition = json!({ "variants": { "on": true, "off": false }, "defaultVariant": "off" });
        definition[key] = value;
        set(definition).map(|_| ()).expect_err(key)
    };
    let many = |most: usize| (0..=most).map(|number| (format!("v{number}"), json!(true))).collect::<Map<_, _>>();
    let rules = |rule: &Value, count: usize| Value::Array(vec![rule.clone(); count]);
    let rule = json!({ "variant": "on" });
    for (refused, expected) in [
        (with("variants", json!({})), "variants is 0"),
        (with("variants", json!({ "on": true, "off": "no" })), "variants must all be"),
        (with("variants", json!({ "on": null, "off": null })), "variants must all be"),
        (with("variants", json!({ "a b": true, "off": false })), "variants must have 1 to 128"),
        (with("variants", Value::Object(many(VARIANTS_MAX))), "variants is 21"),
        (with("defaultVariant", json!("x\n")), "defaultVariant is `x\\n`"),
        (with("targeting", json!({ "if": [] })), "unknown field `targeting`"),
        (with("metadata", json!({ "a": {} })), "metadata must have"),
        (with("description", json!("x".repeat(1_025))), "description is 1025"),
        (with("rules", rules(&rule, RULES_MAX + 1)), "rules is 51"),
        (with("rules", json!([{ "users": ["x".repeat(DEFINITION_BYTES_MAX)], "variant": "on" }])), "definition has"),
        (with("rules", json!([{}])), "rules.variant or split"),
        (with("rules", json!([{ "variant": "x" }])), "rules.variant is `x`"),
        (with("rules", json!([{ "variant": "on", "split": [{ "variant": "on", "percent": 1 }] }])), "or split"),
        (with("rules", json!([{ "split": [{ "variant": "x", "percent": 1 }] }])), "rules.split.variant is `x`"),
        (with("rules", json!([{ "split": [{ "variant": "on", "percent": -1 }] }])), "rules.split.percent is -1"),
        (
            with(
                "rules",
                json!([{ "split": [{ "variant": "on", "percent": 60 }, { "variant": "off", "percent": 60 }] }]),
            ),
            "rules.split has 120 %",
        ),
        (with("rules", json!([{ "attribute": "a", "variant": "on" }])), "rules.attribute and values"),
        (with("rules", json!([{ "attribute": "a", "values": [[1]], "variant": "on" }])), "rules.values must"),
        (with("rules", json!([{ "claim": "a", "variant": "on" }])), "rules.claim and value belong together"),
        (with("rules", json!([{ "claim": "", "value": "b", "variant": "on" }])), "rules.claim must have"),
        (with("rules", json!([{ "users": [""], "variant": "on" }])), "rules.users must not"),
    ] {
        assert!(refused.contains(expected), "{refused} has no {expected}");
    }
}

#[test]
fn names_have_the_characters_of_names() {
    for good in ["a", "new-checkout", "shop.v2_banner", &"x".repeat(FLAG_NAME_BYTES_MAX)] {
        assert!(check_flag_name(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a/b", "ü", "<b>", "\u{1b}[0m", &"x".repeat(FLAG_NAME_BYTES_MAX + 1)] {
        assert!(check_flag_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let text = json!({
        "state": "ENABLED",
        "variants": { "big": { "size": 3 }, "small": [1] },
        "defaultVariant": "small",
        "rules": [{ "users": ["ada"], "split": [{ "variant": "big", "percent": 12.5 }] }],
    });
    let definition: FlagDefinition = serde_json::from_value(text.clone()).expect("a definition");
    assert_eq!(serde_json::from_str::<Value>(&definition.json()).expect("JSON"), text);
    assert_eq!(definition.check().map(ValueType::as_str), Ok("object"));
}

#[test]
fn the_work_of_claims_is_bounded() {
    let set = switch(&json!([{ "claim": "groups", "value": "x", "variant": "on" }]));
    let flag = set.get("banner").expect("the flag");
    assert!(flag.work(100) > flag.work(0));
    assert_eq!(flag.work(usize::MAX), flag.work(2 * CLAIM_VALUES_MAX));
}

//! Turns and their results as JSON, as wit/triggers/triggers.wit has them.

use crate::{
    Alarm, AlarmChange, EmittedEvent, ReplyError, ReplyResult, SetTimer, TimerChanges, Turn, TurnKind, TurnResult,
    TurnState, WorkerSend,
};
use serde_json::json;

#[test]
fn each_kind_of_turn_has_its_members() {
    let text = str::to_owned;
    let error = ReplyError { name: text("TypeError"), message: text("no") };
    for (kind, members) in [
        (TurnKind::Start, json!({ "kind": "start" })),
        (
            TurnKind::Call { method: text("add"), args: text("[1,[2],[\"array\"]]") },
            json!({ "kind": "call", "method": "add", "args": "[1,[2],[\"array\"]]" }),
        ),
        (TurnKind::Message { message: text("[1,5]") }, json!({ "kind": "message", "message": "[1,5]" })),
        (
            TurnKind::Alarm { alarm: Alarm { name: text("expire"), at: 7 } },
            json!({ "kind": "alarm", "alarm": { "name": "expire", "at": 7 } }),
        ),
        (TurnKind::Timer { timer: 3 }, json!({ "kind": "timer", "timer": 3 })),
        (
            TurnKind::Reply { call: 4, result: ReplyResult::Value(text("[1,6]")) },
            json!({ "kind": "reply", "call": 4, "value": "[1,6]" }),
        ),
        (
            TurnKind::Reply { call: 4, result: ReplyResult::Error(error) },
            json!({ "kind": "reply", "call": 4, "error": { "name": "TypeError", "message": "no" } }),
        ),
        (TurnKind::Stop { reason: json!([1]) }, json!({ "kind": "stop", "reason": [1] })),
    ] {
        let turn = Turn { class: text("Cart"), name: text("user-42"), id: text("i"), now: 1_764_450_000_000, kind };
        let mut wanted = json!({ "class": "Cart", "name": "user-42", "id": "i", "now": 1_764_450_000_000_u64 });
        for (name, member) in members.as_object().expect("an object") {
            wanted[name] = member.clone();
        }
        let written = serde_json::to_value(&turn).expect("it is written");
        assert_eq!(written, wanted);
        assert_eq!(serde_json::from_value::<Turn>(written).expect("it is read"), turn);
    }
}

#[test]
fn a_result_is_read_whole() {
    let text = str::to_owned;
    let json = json!({
        "state": "waiting",
        "id": "i",
        "answer": null,
        "sends": [
            { "call": 1, "class": "Stock", "name": "all", "method": "reserve", "value": "[1,[2],[\"array\"]]" },
            { "call": null, "class": "Stock", "name": "all", "method": null, "value": "[1,2]" },
        ],
        "timers": { "set": [{ "timer": 2, "at": 9 }], "cleared": [1], "alarm": [
            { "name": "expire", "at": 7 }, { "name": "other", "at": null },
        ] },
        "emitted": [{ "event": "added", "value": "[1,true]" }],
    });
    let send = |call, method: Option<&str>, value: &str| WorkerSend {
        call,
        class: text("Stock"),
        name: text("all"),
        method: method.map(text),
        value: text(value),
    };
    let wanted = TurnResult {
        state: TurnState::Waiting,
        id: text("i"),
        answer: None,
        sends: vec![send(Some(1), Some("reserve"), "[1,[2],[\"array\"]]"), send(None, None, "[1,2]")],
        timers: TimerChanges {
            set: vec![SetTimer { timer: 2, at: 9 }],
            cleared: vec![1],
            alarm: vec![
                AlarmChange { name: text("expire"), at: Some(7) },
                AlarmChange { name: text("other"), at: None },
            ],
        },
        emitted: vec![EmittedEvent { event: text("added"), value: text("[1,true]") }],
    };
    assert_eq!(serde_json::from_value::<TurnResult>(json.clone()).expect("it is read"), wanted);
    assert_eq!(serde_json::to_value(&wanted).expect("it is written"), json);
    // What is not there is none.
    let short: TurnResult = serde_json::from_str(r#"{"state":"done","id":"i"}"#).expect("it is read");
    assert_eq!((short.state, short.answer, short.timers), (TurnState::Done, None, TimerChanges::default()));
    serde_json::from_str::<TurnResult>(r#"{"state":"asleep","id":"i"}"#).expect_err("there is no such state");
}

//! Turns and their results as JSON, as wit/triggers/triggers.wit has them.

use crate::{
    Alarm, AlarmChange, EmittedEvent, ReplyError, ReplyResult, SetTimer, SocketAction, SocketContent, SocketKind,
    SocketRequest, SocketSend, TimerChanges, Turn, TurnKind, TurnResult, TurnState, WorkerSend,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[test]
fn each_kind_of_turn_has_its_members() {
    let text = str::to_owned;
    let error = ReplyError { name: text("TypeError"), message: text("no") };
    let headers = vec![(text("accept"), text("*/*"))];
    let kind = SocketKind::WebSocket;
    let request = SocketRequest { url: text("http://a.example/"), headers, protocol: text("chat"), kind };
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
        (TurnKind::Inspect, json!({ "kind": "inspect" })),
        (TurnKind::Export, json!({ "kind": "export" })),
        (
            TurnKind::Upgrade { version: text("1.2.3"), state: text("[1,[2],{}]") },
            json!({ "kind": "upgrade", "version": "1.2.3", "state": "[1,[2],{}]" }),
        ),
        (
            TurnKind::Swap { code: text("0123"), source: text("export {};") },
            json!({ "kind": "swap", "code": "0123", "source": "export {};" }),
        ),
        (TurnKind::Copy { of: text("a") }, json!({ "kind": "copy", "of": "a" })),
        (TurnKind::Health, json!({ "kind": "health" })),
        (
            TurnKind::Open { socket: text("s"), request },
            json!({ "kind": "open", "socket": "s", "request": {
                "url": "http://a.example/", "headers": [["accept", "*/*"]], "protocol": "chat", "kind": "websocket",
            } }),
        ),
        (
            TurnKind::SocketMessage { socket: text("s"), content: SocketContent::Text(text("hello")) },
            json!({ "kind": "socket-message", "socket": "s", "text": "hello" }),
        ),
        (
            TurnKind::SocketMessage { socket: text("s"), content: SocketContent::Bytes(text("AQI=")) },
            json!({ "kind": "socket-message", "socket": "s", "bytes": "AQI=" }),
        ),
        (
            TurnKind::Close { socket: text("s"), code: 1006, reason: text("") },
            json!({ "kind": "close", "socket": "s", "code": 1006, "reason": "" }),
        ),
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
        "sockets": [
            { "socket": "s", "text": "hello" },
            { "socket": "s", "bytes": "AQI=" },
            { "socket": "s", "close": { "code": 4000, "reason": "as told" } },
        ],
    });
    let to_socket = |action| SocketSend { socket: text("s"), action };
    let send = |call, method: Option<&str>, value: &str| WorkerSend {
        call,
        class: text("Stock"),
        name: text("all"),
        method: method.map(text),
        value: text(value),
        id: None,
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
        sockets: vec![
            to_socket(SocketAction::Text(text("hello"))),
            to_socket(SocketAction::Bytes(text("AQI="))),
            to_socket(SocketAction::Close { code: 4000, reason: text("as told") }),
        ],
    };
    assert_eq!(serde_json::from_value::<TurnResult>(json.clone()).expect("it is read"), wanted);
    assert_eq!(serde_json::to_value(&wanted).expect("it is written"), json);
    // What is not there is none.
    let short: TurnResult = serde_json::from_str(r#"{"state":"done","id":"i"}"#).expect("it is read");
    assert_eq!((short.state, short.answer, short.timers), (TurnState::Done, None, TimerChanges::default()));
    serde_json::from_str::<TurnResult>(r#"{"state":"asleep","id":"i"}"#).expect_err("there is no such state");
}

#[test]
fn a_result_beyond_a_bound_is_known() {
    let send = |value: &str| json!({ "class": "Stock", "name": "all", "value": value });
    let event = |value: &str| json!({ "event": "added", "value": value });
    let alarm = |name: &str| json!({ "name": name, "at": null });
    let timer = json!({ "timer": 1, "at": 1 });
    let timers = |set: usize, cleared: usize| json!({ "set": vec![timer.clone(); set], "cleared": vec![1; cleared] });
    let to_sockets = |count: usize, text: &str| json!(vec![json!({ "socket": "s", "text": text }); count]);
    let close = |code: u16, reason: &str| json!([{ "socket": "s", "close": { "code": code, "reason": reason } }]);
    let (name, value) = ("\u{e9}".repeat(256), "\u{e9}".repeat(1 << 20));
    let (long_name, long_value) = (format!("{name}x"), format!("{value}x"));
    let most = json!({
        "state": "done", "id": name, "answer": value,
        "sends": vec![json!({ "class": name, "name": name, "method": name, "value": "[1,1]" }); 1_000],
        "emitted": vec![json!({ "event": name, "value": "[1,1]" }); 1_000],
        "timers": timers(10_000, 10_000),
        "sockets": to_sockets(10_000, ""),
    });
    let beyond = [
        ("messages", "sends", json!(vec![send("[1,1]"); 1_001])),
        ("events", "emitted", json!(vec![event("[1,1]"); 1_001])),
        ("timers", "timers", timers(10_001, 0)),
        ("timers", "timers", timers(0, 10_001)),
        ("alarms", "timers", json!({ "alarm": vec![alarm("a"); 2_001] })),
        ("characters of a name", "timers", json!({ "alarm": [alarm(&long_name)] })),
        ("characters of a name", "id", json!(long_name)),
        ("characters of a name", "emitted", json!([{ "event": long_name, "value": "[1,1]" }])),
        ("characters of a name", "sends", json!([{ "class": "a", "name": "a", "method": long_name, "value": "" }])),
        ("characters of a value", "answer", json!(long_value)),
        ("characters of a value", "emitted", json!([event(&long_value)])),
        ("characters of values", "sends", json!(vec![send(&value); 8])),
        ("messages to sockets", "sockets", to_sockets(10_001, "")),
        ("characters of a message to a socket", "sockets", to_sockets(1, &long_value)),
        ("characters of messages to sockets", "sockets", to_sockets(9, &value)),
        ("characters of a name", "sockets", json!([{ "socket": long_name, "bytes": "" }])),
        ("the code and the reason of a close", "sockets", close(1001, "")),
        ("the code and the reason of a close", "sockets", close(5000, "")),
        ("the code and the reason of a close", "sockets", close(1000, &"x".repeat(124))),
    ];
    let most_of_a_message = TurnKind::Message { message: String::new() }.answer_characters_max();
    let exceeded = |json: &Value| TurnResult::deserialize(json).expect("it is read").exceeded(most_of_a_message);
    assert_eq!(exceeded(&most), None);
    for sockets in [to_sockets(8, &value), close(1000, &"x".repeat(123)), close(3000, ""), close(4999, "")] {
        let mut result = most.clone();
        result["sockets"] = sockets;
        assert_eq!(exceeded(&result), None);
    }
    for (what, member, value) in beyond {
        let mut result = most.clone();
        result[member] = value;
        assert_eq!(exceeded(&result), Some(what), "{member}");
    }
    // The answer may be larger where it is a whole worker.
    let of_state = |characters: usize| {
        let result: TurnResult = serde_json::from_value(json!({
            "state": "done", "id": "i", "answer": "x".repeat(characters),
        }))
        .expect("it is read");
        [TurnKind::Inspect, TurnKind::Export].map(|kind| result.exceeded(kind.answer_characters_max()))
    };
    assert_eq!(of_state(16 << 20), [None; 2]);
    assert_eq!(of_state((16 << 20) + 1), [Some("characters of a value"); 2]);
}

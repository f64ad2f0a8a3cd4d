use super::*;

pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn call(capability: &'static str, operation: &'static str) -> Call {
    Call {
        capability,
        operation,
        name: None,
        offset_us: 10,
        duration_us: 5,
        failed: false,
        span: None,
        number: 0,
        parent: 0,
        attributes: Vec::new(),
    }
}

pub(crate) fn execution(calls: Vec<Call>) -> TracedExecution {
    TracedExecution {
        context: TraceContext::parse(TRACEPARENT).expect("a context"),
        parent: None,
        execution: "01JZ8Q4M3V5T6N7P8R9S0A1B2C".to_owned(),
        resource: SpanResource {
            tenant: "acme".to_owned(),
            component: "shop".to_owned(),
            environment: "production".to_owned(),
            version: 3,
            host: "h1".to_owned(),
        },
        name: "job resize".to_owned(),
        kind: SpanKind::Consumer,
        request: None,
        queued_us: 0,
        start_us: 1_000_000,
        duration_us: 100,
        failed: false,
        code: None,
        message: None,
        fuel: 7,
        memory_bytes: 8,
        attributes: Vec::new(),
        calls,
        left_out: 0,
    }
}

/// Ids 1, 2, 3 and so on.
pub(crate) fn ids() -> impl FnMut() -> SpanId {
    let mut last = 0_u64;
    move || {
        last += 1;
        SpanId(last.to_be_bytes())
    }
}

fn id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

#[test]
fn a_traceparent_is_read_and_written() {
    let context = TraceContext::parse(TRACEPARENT).expect("a context");
    assert_eq!(context.traceparent(), TRACEPARENT);
    let unsampled = TraceContext::parse(&TRACEPARENT.replace("-01", "-00")).expect("a context");
    assert!(context.sampled && !unsampled.sampled);
    for wrong in [
        String::new(),
        "00".to_owned(),
        format!("{TRACEPARENT}-1"),
        TRACEPARENT.to_uppercase(),
        TRACEPARENT.replacen("00", "01", 1),
        TRACEPARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        TRACEPARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
        TRACEPARENT.replace("4bf9", "4büf"),
    ] {
        assert_eq!(TraceContext::parse(&wrong), None, "{wrong}");
    }
}

#[test]
fn calls_are_parts_of_their_execution_and_of_spans_of_the_guest() {
    let guest = |number, parent| Call { name: Some(format!("part {number}")), number, parent, ..call("span", "") };
    let fetch = Call { span: Some(id(77)), ..call("http", "") };
    let made = execution(vec![guest(1, 0), call("db", "query"), guest(2, 1), fetch]).into_spans(ids());
    let own = made.spans[0].id;
    let shown: Vec<_> = made.spans.iter().map(|span| (span.name.as_str(), span.kind, span.id, span.parent)).collect();
    assert_eq!(
        shown,
        [
            ("job resize", SpanKind::Consumer, own, None),
            ("part 1", SpanKind::Internal, id(1), Some(own)),
            ("db query", SpanKind::Client, id(2), Some(own)),
            ("part 2", SpanKind::Internal, id(3), Some(id(1))),
            ("http", SpanKind::Client, id(77), Some(own)),
        ]
    );
    assert_eq!((made.spans[1].start_us, made.spans[1].duration_us), (1_000_010, 5));
}

#[test]
fn a_request_shows_who_called_and_how_long_it_waited() {
    let request = RequestSpan {
        span: id(50),
        parent: Some(id(40)),
        start_us: 990_000,
        duration_us: 20_000,
        method: "GET".to_owned(),
        path: "/users/42".to_owned(),
        status: 503,
    };
    let traced = TracedExecution {
        request: Some(request),
        queued_us: 5_000,
        failed: true,
        code: Some("deadline".to_owned()),
        message: Some("too late\n    at f (src/index.ts:1:2)".to_owned()),
        left_out: 3,
        ..execution(Vec::new())
    };
    let made = traced.into_spans(ids());
    let names: Vec<_> = made.spans.iter().map(|span| (span.name.as_str(), span.parent)).collect();
    assert_eq!(names, [("GET", Some(id(40))), ("queue", Some(id(50))), ("job resize", Some(id(50)))]);
    assert_eq!((made.spans[1].start_us, made.spans[1].duration_us), (995_000, 5_000));
    assert!(made.spans[0].failed && made.spans[2].failed);
    assert_eq!(made.spans[2].message.as_deref(), Some("too late"), "the stack is in the record");
    let has = |name: &str| made.spans[2].attributes.iter().any(|(attribute, _)| attribute == name);
    assert!(has("error.type") && has("elias.calls.left_out"));
}

#[test]
fn statements_are_told_without_their_values() {
    let sql = ("db.query.text".into(), AttributeValue::Text("SELECT * FROM users WHERE mail = 'a@b.c'".into()));
    let made = execution(vec![Call { attributes: vec![sql], ..call("db", "query") }]).into_spans(ids());
    let told = AttributeValue::Text("SELECT * FROM users WHERE mail = ?".into());
    assert_eq!(made.spans[1].attributes, vec![(Cow::Borrowed("db.query.text"), told)]);
}

#[test]
fn messages_are_cut_within_whole_characters() {
    assert_eq!(first_line(""), "");
    assert_eq!(first_line(&"ü".repeat(MESSAGE_BYTES_MAX)).len(), MESSAGE_BYTES_MAX);
    assert_eq!(first_line(&format!("a{}", "ü".repeat(MESSAGE_BYTES_MAX))).len(), MESSAGE_BYTES_MAX - 1);
}

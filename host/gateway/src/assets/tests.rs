//! Tests of the files of a version: paths, conditions, ranges and encodings.

use super::*;
use crate::encoding::Coding;
use crate::rule::parse_rule;
use http::Request;
use serde_json::{Value, json};

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn entry(path: &str, seed: u8, encodings: &[(Coding, u8)]) -> AssetEntry {
    AssetEntry {
        path: path.into(),
        sha256: format!("{seed:02x}").repeat(32),
        bytes: 100,
        content_type: None,
        encodings: encodings
            .iter()
            .map(|(coding, seed)| EncodedAsset { coding: *coding, sha256: format!("{seed:02x}").repeat(32), bytes: 10 })
            .collect(),
    }
}

fn table() -> AssetTable {
    AssetTable::new(&[
        entry("/index.html", 1, &[]),
        entry("/docs/index.html", 2, &[]),
        entry("/app.3f2a9c1b.js", 3, &[(Coding::Gzip, 4), (Coding::Brotli, 5)]),
        entry("/logo.png", 6, &[]),
        entry("/gr\u{fc}n und rot.txt", 7, &[]),
        entry("/.env", 8, &[]),
        entry("/.git/config", 9, &[]),
        entry("/.well-known/security.txt", 10, &[]),
    ])
    .expect("a table")
}

fn rules(table: Value) -> AssetRules {
    parse_rule(&table, "assets").expect("a table")
}

/// The answer in short: status, the digest's first byte, the range, and what the headers say.
fn ask(table_of: Value, request: &str, pairs: Pairs<'_>) -> String {
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in pairs {
        builder = builder.header(*name, *value);
    }
    let parts = builder.body(()).expect("a request").into_parts().0;
    match table().respond(&rules(table_of), &parts, false) {
        None => "component".into(),
        Some(AssetResponse::Refused(refusal)) => {
            format!("{} {:?}", refusal.status().as_u16(), refusal.headers().values().next())
        }
        Some(AssetResponse::Empty { status, headers }) => {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            format!("{} {location}", status.as_u16()).trim_end().to_owned()
        }
        Some(AssetResponse::Bytes { status, headers, digest, range, body }) => {
            assert_eq!(headers[CONTENT_LENGTH], (range.end - range.start).to_string());
            let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("plain");
            let body = if body { "" } else { " head" };
            format!("{} {} {}..{} {coding}{body}", status.as_u16(), digest[0], range.start, range.end)
        }
    }
}

fn public() -> Value {
    json!({ "folder": "public" })
}

#[test]
fn paths_lead_to_files_folders_or_the_component() {
    let app = json!({ "folder": "public", "fallback": "/index.html" });
    let under = json!({ "folder": "public", "prefix": "/static" });
    let only = json!({ "folder": "public", "prefix": "/static", "exclusive": true });
    let html = [("accept", "text/html,*/*;q=0.8")];
    let cases: &[(&Value, &str, Pairs<'_>, &str)] = &[
        (&public(), "GET /", &[], "200 1 0..100 plain"),
        (&public(), "GET /docs/", &[], "200 2 0..100 plain"),
        (&public(), "GET /docs", &[], "308 /docs/"),
        (&public(), "GET /docs?a=b", &[], "308 /docs/?a=b"),
        (&public(), "HEAD /logo.png", &[], "200 6 0..100 plain head"),
        (&public(), "GET /gr%C3%BCn%20und%20rot.txt", &[], "200 7 0..100 plain"),
        (&public(), "GET /Logo.png", &[], "component"),
        (&public(), "GET /logo.png/", &[], "component"),
        (&public(), "GET /../logo.png", &[], "component"),
        (&public(), "GET /docs%2findex.html", &[], "200 2 0..100 plain"), // the router lets no such path through
        (&public(), "GET /%FF", &[], "component"),
        (&public(), "POST /", &[], "component"),
        (&public(), "GET /api/orders", &html, "component"),
        (&app, "GET /orders/5", &html, "200 1 0..100 plain"),
        (&app, "GET /orders/5", &[("accept", "application/json")], "component"),
        (&app, "GET /missing.js", &html, "component"),
        (&app, "POST /orders/5", &html, "component"),
        (&under, "GET /static/logo.png", &[], "200 6 0..100 plain"),
        (&under, "GET /static", &[], "308 /static/"),
        (&under, "GET /staticlogo.png", &[], "component"),
        (&under, "GET /logo.png", &[], "component"),
        (&only, "GET /static/missing.png", &[], "404 None"),
        (&only, "PUT /static/logo.png", &[], "405 Some(\"GET, HEAD\")"),
        (&only, "GET /other", &[], "component"),
        (&public(), "GET /.env", &[], "component"),
        (&public(), "GET /%2Eenv", &[], "component"),
        (&public(), "GET /.git/config", &[], "component"),
        (&public(), "GET /.well-known/security.txt", &[], "200 10 0..100 plain"),
        (&only, "GET /static/.env", &[], "404 None"),
    ];
    for (table, request, pairs, expected) in cases {
        assert_eq!(ask((*table).clone(), request, pairs), *expected, "{request} {table}");
    }
}

#[test]
fn conditions_and_ranges() {
    let (plain, brotli) = ("\"06060606060606060606060606060606\"", "\"05050505050505050505050505050505\"");
    let weak = format!("\"x\", W/{plain}");
    let script = "GET /app.3f2a9c1b.js";
    let cases: &[(&str, Pairs<'_>, &str)] = &[
        ("GET /logo.png", &[("if-none-match", plain)], "304"),
        ("HEAD /logo.png", &[("if-none-match", &weak)], "304"),
        ("GET /logo.png", &[("if-none-match", "*")], "304"),
        ("GET /logo.png", &[("if-none-match", "\"x\"")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("if-modified-since", "Sun, 06 Nov 2094 08:49:37 GMT")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("if-match", "\"x\"")], "412 None"),
        ("GET /logo.png", &[("if-match", &weak)], "412 None"),
        ("GET /logo.png", &[("if-match", plain)], "200 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=0-0")], "206 6 0..1 plain"),
        ("GET /logo.png", &[("range", "bytes=10-19")], "206 6 10..20 plain"),
        ("GET /logo.png", &[("range", "bytes=90-")], "206 6 90..100 plain"),
        ("GET /logo.png", &[("range", "bytes=90-500")], "206 6 90..100 plain"),
        ("GET /logo.png", &[("range", "bytes=-5")], "206 6 95..100 plain"),
        ("GET /logo.png", &[("range", "bytes=-500")], "206 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=0-99999999999999999999999")], "206 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=100-")], "416 Some(\"bytes */100\")"),
        ("GET /logo.png", &[("range", "bytes=-0")], "416 Some(\"bytes */100\")"),
        ("GET /logo.png", &[("range", "bytes=99999999999999999999999-")], "416 Some(\"bytes */100\")"),
        ("GET /logo.png", &[("range", "bytes=0-1,5-6")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=5-1")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=a-b")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("range", "bytes=-")], "200 6 0..100 plain"),
        ("GET /logo.png", &[("range", "lines=0-1")], "200 6 0..100 plain"),
        ("HEAD /logo.png", &[("range", "bytes=0-1")], "200 6 0..100 plain head"),
        ("GET /logo.png", &[("range", "bytes=0-0"), ("if-range", plain)], "206 6 0..1 plain"),
        ("GET /logo.png", &[("range", "bytes=0-0"), ("if-range", "\"x\"")], "200 6 0..100 plain"),
        (
            "GET /logo.png",
            &[("range", "bytes=0-0"), ("if-range", "Sun, 06 Nov 2094 08:49:37 GMT")],
            "200 6 0..100 plain",
        ),
        (script, &[("accept-encoding", "gzip, br")], "200 5 0..10 br"),
        (script, &[("accept-encoding", "gzip")], "200 4 0..10 gzip"),
        (script, &[("accept-encoding", "zstd")], "200 3 0..100 plain"),
        (script, &[("accept-encoding", "br"), ("if-none-match", brotli)], "304"),
        (script, &[("if-none-match", brotli)], "200 3 0..100 plain"),
        (script, &[("accept-encoding", "br"), ("range", "bytes=2-3")], "206 5 2..4 br"),
    ];
    for (request, pairs, expected) in cases {
        assert_eq!(ask(public(), request, pairs), *expected, "{request} {pairs:?}");
    }
}

#[test]
fn the_headers_say_what_it_is_and_how_long_to_keep_it() {
    let headers = |rules_of: Value, path: &str, private: bool| {
        let parts = Request::get(path).body(()).expect("a request").into_parts().0;
        match table().respond(&rules(rules_of), &parts, private) {
            Some(AssetResponse::Bytes { headers, .. }) => headers,
            other => panic!("{other:?}"),
        }
    };
    let script = headers(public(), "/app.3f2a9c1b.js", false);
    assert_eq!(script[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(script[VARY], "accept-encoding");
    assert_eq!(script[CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(script[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers(public(), "/app.3f2a9c1b.js", true)[CACHE_CONTROL], "private, max-age=31536000, immutable");
    assert_eq!(headers(public(), "/logo.png", false)[CACHE_CONTROL], "public, max-age=0, must-revalidate");
    assert!(!headers(public(), "/logo.png", false).contains_key(VARY));
    let told = json!({ "folder": "public", "max-age": 60, "immutable": ["/logo"] });
    assert_eq!(headers(told.clone(), "/logo.png", false)[CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(headers(told.clone(), "/gr%C3%BCn%20und%20rot.txt", false)[CACHE_CONTROL], "public, max-age=60");
    assert_eq!(headers(told, "/", false)[CACHE_CONTROL], "public, max-age=0, must-revalidate");
}

#[test]
fn the_extension_decides_the_media_type() {
    for (path, expected) in [
        ("/index.html", "text/html; charset=utf-8"),
        ("/a/main.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/app.MJS", "text/javascript; charset=utf-8"),
        ("/app.js.map", "application/json"),
        ("/data.json", "application/json"),
        ("/app.webmanifest", "application/manifest+json"),
        ("/read.txt", "text/plain; charset=utf-8"),
        ("/feed.xml", "application/xml"),
        ("/app.wasm", "application/wasm"),
        ("/logo.svg", "image/svg+xml"),
        ("/photo.avif", "image/avif"),
        ("/font.woff2", "font/woff2"),
        ("/font.otf", "font/otf"),
        ("/main.ts", "application/octet-stream"),
        ("/a.b/file", "application/octet-stream"),
        ("/file.unknown-extension", "application/octet-stream"),
    ] {
        assert_eq!(content_type_of(path), expected, "{path}");
    }
}

#[test]
fn only_names_with_a_hash_are_immutable() {
    for (path, hashed) in [
        ("/app.3f2a9c1b.js", true),
        ("/chunk-0a1b2c3d4e5f.css", true),
        ("/x/font_00aa11bb.woff2", true),
        ("/app.js", false),
        ("/3f2a9c1b.js", false),
        ("/report-20240131.pdf", false),
        ("/app.deadbeef.js", false),
        ("/app.3F2A9C1B.js", false),
        ("/index-B7x_9aKd.js", false),
        ("/app.3f2a9c1b/main.js", false),
        ("/app.3f2a9c1b", false),
    ] {
        assert_eq!(is_content_hashed(path), hashed, "{path}");
    }
}

#[test]
fn tables_and_entries_are_checked() {
    for (table, part) in [
        (json!({}), "folder"),
        (json!({ "folder": "../x" }), "folder"),
        (json!({ "folder": "/etc" }), "folder"),
        (json!({ "folder": "" }), "folder"),
        (json!({ "folder": "p", "prefix": "static" }), "prefix"),
        (json!({ "folder": "p", "prefix": "/static/" }), "prefix"),
        (json!({ "folder": "p", "fallback": "/../x" }), "fallback"),
        (json!({ "folder": "p", "immutable": ["x"] }), "immutable"),
        (json!({ "folder": "p", "max-age": 40_000_000 }), "max-age"),
        (json!({ "folder": "p", "index": "x" }), "index"),
    ] {
        let message = parse_rule::<AssetRules>(&table, "assets").expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    }
    let wrong = |change: fn(&mut AssetEntry)| {
        let mut entry = entry("/a", 1, &[(Coding::Gzip, 2)]);
        change(&mut entry);
        AssetTable::new(&[entry]).is_err()
    };
    assert!(!wrong(|_| {}));
    assert!(wrong(|entry| entry.path = "a".into()));
    assert!(wrong(|entry| entry.path = "/a/../b".into()));
    assert!(wrong(|entry| entry.path = format!("/{}", "a".repeat(MAX_ASSET_PATH_BYTES))));
    assert!(wrong(|entry| entry.sha256 = "AB".repeat(32)));
    assert!(wrong(|entry| entry.content_type = Some("a\nb".into())));
    assert!(wrong(|entry| entry.encodings = vec![entry.encodings[0].clone(); 4]));
    assert!(AssetTable::new(&[entry("/a", 1, &[]), entry("/a", 2, &[])]).is_err());
    let many: Vec<_> = (0..=MAX_ASSETS).map(|i| entry(&format!("/{i}"), 1, &[])).collect();
    assert!(AssetTable::new(&many).is_err());
    assert!(AssetTable::new(&many[1..]).is_ok());
}

//! Paths, hosts and ranges as clients write them: what is routed is read in one way only, and a range lies within its
//! file.
#![no_main]

use elias_gateway::{AssetEntry, AssetResponse, AssetTable, GatewayConfig, HostRule, Router};
use serde_json::json;
use std::sync::{Arc, LazyLock};

struct Site {
    router: Router<usize>,
    assets: AssetTable,
    config: GatewayConfig,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let routes =
        json!([{ "path": "/a/{id}" }, { "path": "/files/{*rest}" }, { "path": "/users/@me" }, { "path": "/" }]);
    let table = json!({ "routes": routes, "assets": { "folder": "public" } });
    let config = GatewayConfig::parse(&table).expect("a table");
    let mut router = Router::default();
    for (at, route) in config.routes.iter().enumerate() {
        router.add(&Arc::from("s"), &[HostRule::Any], route, &at).expect("fits");
    }
    let file = |path: &str| AssetEntry {
        path: path.into(),
        sha256: "00".repeat(32),
        bytes: 100,
        content_type: None,
        encodings: Vec::new(),
    };
    let assets = AssetTable::new(&[file("/index.html"), file("/a.txt"), file("/.env")]).expect("a table");
    Site { router, assets, config }
});

libfuzzer_sys::fuzz_target!(|input: (&str, &str, &str)| {
    let (host, path, range) = input;
    let site = &*SITE;
    let Ok(builder) = http::Uri::builder().scheme("http").authority(host).path_and_query(path).build() else { return };
    let Ok(request) = http::Request::get(builder).header("range", range).body(()) else { return };
    let (parts, ()) = request.into_parts();
    if site.router.find_parts(&parts).is_ok() {
        let routed = parts.uri.path();
        // Another reader of URLs sees the same path and a host.
        let url = url::Url::parse(&format!("http://h{routed}")).expect("a URL");
        assert_eq!(url.path(), routed);
        assert!(!routed.split('/').any(|part| part == "." || part == ".."));
    }
    let rules = site.config.routes[0].rules.assets.as_ref().expect("the table has them");
    if let Some(AssetResponse::Bytes { status, range, .. }) = site.assets.respond(rules, &parts, false) {
        assert!(range.start <= range.end && range.end <= 100);
        assert_eq!(status == 206, range != (0..100));
        assert!(!parts.uri.path().contains("env"));
    }
});

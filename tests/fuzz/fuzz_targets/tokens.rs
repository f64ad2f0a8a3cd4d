//! Tokens: whatever header, claims and signature a client sends, nothing panics, and nobody is let in whom no key
//! vouches for.
#![no_main]

use elias_gateway::auth::JwtRules;
use elias_gateway::{GatewayConfig, JwtVerifier, Now};
use serde_json::json;
use std::sync::LazyLock;
use std::time::Duration;

static VERIFIER: LazyLock<JwtVerifier> = LazyLock::new(|| {
    let jwt = json!({ "jwks": "https://id.test/keys", "issuer": "https://id.test", "audience": "shop" });
    let config = GatewayConfig::parse(&json!({ "auth": { "jwt": jwt } })).expect("a table");
    let rules: JwtRules = config.routes[0].rules.auth.as_ref().and_then(|auth| auth.jwt()).expect("it has").clone();
    let verifier = JwtVerifier::new(rules);
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"; // RFC 8037, appendix A
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "use": "sig" }] });
    verifier.set_keys(&serde_json::from_value(set).expect("a set"), NOW);
    verifier
});

const NOW: Now = Now { monotonic: Duration::from_secs(1), unix_seconds: 1_000_000 };

libfuzzer_sys::fuzz_target!(|input: (&str, &str, &[u8], &str)| {
    use base64::Engine;
    let (header, claims, signature, raw) = input;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let token = [header.as_bytes(), claims.as_bytes(), signature].map(encode).join(".");
    assert!(VERIFIER.verify(&token, NOW).is_err());
    assert!(VERIFIER.verify(raw, NOW).is_err());
});

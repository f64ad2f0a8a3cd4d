//! Tests of API keys and of JSON Web Tokens.

use super::*;
use crate::rule::parse_rule;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use jsonwebtoken::jwk::JwkSet;
use serde_json::json;

const NOW: Now = Now { monotonic: std::time::Duration::ZERO, unix_seconds: 1_000_000 };

fn at(unix_seconds: u64) -> Now {
    Now { unix_seconds, ..NOW }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8, id: &str) -> Value {
    let x = URL_SAFE_NO_PAD.encode(key(seed).verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig", "alg": "EdDSA" })
}

fn set(keys: Value) -> JwkSet {
    serde_json::from_value(json!({ "keys": keys })).expect("a set")
}

fn sign(seed: u8, header: &Value, claims: &Value) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key(seed).sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn claims() -> Value {
    json!({ "iss": "https://id.test", "aud": "shop", "sub": "ada", "org_id": "acme", "exp": 1_000_100, "n": [1] })
}

fn changed(mut value: Value, key: &str, new: Value) -> Value {
    match new {
        Value::Null => value.as_object_mut().and_then(|object| object.remove(key)),
        new => value.as_object_mut().and_then(|object| object.insert(key.to_owned(), new)),
    };
    value
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "one", "typ": "JWT" })
}

fn rules(table: Value) -> Arc<AuthRules> {
    Arc::new(parse_rule(&table, "auth").expect("a table"))
}

fn jwt_table() -> Value {
    json!({ "jwks": "https://id.test/keys", "issuer": "https://id.test", "audience": ["shop", "admin"] })
}

struct OneKey;

impl ApiKeys for OneKey {
    fn verify(&self, key: &str) -> Option<Identity> {
        (key == "right").then(|| Identity {
            subject: "key-1".into(),
            user_id: None,
            organization_id: Some("acme".into()),
            claims: serde_json::Map::new(),
            method: AuthMethod::ApiKey,
        })
    }
}

fn authenticator(table: Value) -> Authenticator {
    let rules = rules(table);
    let verifier = rules.jwt().map(|jwt| Arc::new(JwtVerifier::new(jwt.clone())));
    if let Some(verifier) = &verifier {
        assert_eq!(verifier.set_keys(&set(json!([public(1, "one"), public(2, "two")])), NOW), 2);
    }
    Authenticator::new(rules, verifier, Some(Arc::new(OneKey)))
}

fn bearer(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a value");
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

fn reason(result: Result<Option<Arc<Identity>>, Refusal>) -> String {
    let refusal = result.expect_err("a refusal");
    assert!(refusal.detail().is_none(), "the client learns nothing more");
    refusal.reason().unwrap_or_default().to_owned()
}

#[test]
fn a_token_says_who_calls() {
    let auth = authenticator(json!({ "jwt": jwt_table() }));
    let token = sign(1, &header(), &claims());
    for _ in 0..2 {
        let identity = auth.authenticate(&bearer(&token), NOW).expect("passes").expect("somebody");
        assert_eq!((identity.subject.as_str(), identity.user_id.as_deref()), ("ada", Some("ada")));
        assert_eq!(identity.organization_id.as_deref(), Some("acme"));
        assert_eq!(identity.claims["n"], json!([1]));
        assert_eq!(identity.method, AuthMethod::Jwt);
        assert_eq!(auth.expires_at(&identity), Some(1_000_160), "a socket ends when the token would be refused");
    }
    let lower =
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("bearer {token}")).expect("a value"))]);
    assert!(auth.authenticate(&lower, NOW).is_ok());
    // Known by now, and still it expires.
    assert!(auth.authenticate(&bearer(&token), at(1_000_159)).is_ok());
    assert!(reason(auth.authenticate(&bearer(&token), at(1_000_160))).contains("expired"));
}

#[test]
fn tokens_that_do_not_pass() {
    let auth = authenticator(json!({ "jwt": jwt_table() }));
    let good = sign(1, &header(), &claims());
    let (message, signature) = good.rsplit_once('.').expect("a token");
    let none = changed(header(), "alg", json!("none"));
    let claim = |name: &str, value: Value| sign(1, &header(), &changed(claims(), name, value));
    let head = |name: &str, value: Value| sign(1, &changed(header(), name, value), &claims());
    let other_claims = URL_SAFE_NO_PAD.encode(changed(claims(), "sub", json!("eve")).to_string());
    let cases = [
        (String::new(), "malformed"),
        ("a.b.c".into(), "malformed"),
        (format!("{message}."), "signature"),
        (format!("{message}.{signature}x"), "signature"),
        (format!("{}.{other_claims}.{signature}", message.split('.').next().unwrap_or_default()), "signature"),
        (sign(1, &none, &claims()), "malformed"),
        (head("alg", json!("HS256")), "algorithm"),
        (head("alg", json!("ES256")), "no key"),
        (head("kid", json!("three")), "no key"),
        (head("kid", json!("two")), "signature"),
        (head("kid", Value::Null), "no key"),
        (head("crit", json!(["exp"])), "header"),
        (head("b64", json!(false)), "header"),
        (head("typ", json!("logout+jwt")), "header"),
        (sign(3, &header(), &claims()), "signature"),
        (claim("exp", Value::Null), "expired"),
        (claim("exp", json!("1000100")), "expired"),
        (claim("exp", json!(-1)), "expired"),
        (claim("exp", json!(999_940)), "expired"),
        (claim("nbf", json!(1_000_061)), "not valid yet"),
        (claim("nbf", json!("soon")), "not valid yet"),
        (claim("iss", json!("https://id.test/")), "issuer"),
        (claim("iss", json!(["https://id.test"])), "issuer"),
        (claim("aud", json!("other")), "audience"),
        (claim("aud", json!([])), "audience"),
        (claim("aud", Value::Null), "audience"),
        (claim("sub", Value::Null), "subject"),
        (claim("pad", json!("x".repeat(MAX_TOKEN_BYTES))), "too long"),
    ];
    for (token, part) in cases {
        for _ in 0..2 {
            let reason = reason(auth.authenticate(&bearer(&token), NOW));
            assert!(reason.contains(part), "{token}: {reason} is not {part}");
        }
    }
    for good in [
        head("typ", json!("at+JWT")),
        head("typ", json!("application/at+jwt")),
        head("typ", Value::Null),
        claim("aud", json!(["x", "admin"])),
        claim("exp", json!(999_999.5)),
        claim("nbf", json!(1_000_060)),
    ] {
        auth.authenticate(&bearer(&good), NOW).expect(&good);
    }
}

#[test]
fn symmetric_and_foreign_keys_of_a_set_are_not_used() {
    let verifier = JwtVerifier::new(rules(json!({ "jwt": jwt_table() })).jwt().expect("rules").clone());
    let unusable = json!([
        { "kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "one" },
        { "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" },
        changed(public(1, "enc"), "use", json!("enc")),
        changed(public(1, "ops"), "key_ops", json!(["sign"])),
        changed(public(1, "alg"), "alg", json!("RSA-OAEP")),
        { "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short" },
        { "kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ" },
        { "kty": "new" },
    ]);
    assert_eq!(verifier.set_keys(&set(unusable), NOW), 0);
    let many: Vec<Value> = (0..=u8::MAX).map(|seed| public(seed, &format!("k{seed}"))).collect();
    assert_eq!(verifier.set_keys(&set(json!(many)), NOW), MAX_KEYS);
    let narrow = changed(jwt_table(), "algorithms", json!(["RS256"]));
    let verifier = JwtVerifier::new(rules(json!({ "jwt": narrow })).jwt().expect("rules").clone());
    assert_eq!(verifier.set_keys(&set(json!([public(1, "one")])), NOW), 0);
}

#[test]
fn newer_keys_are_wanted_at_most_once_a_minute() {
    let auth = authenticator(json!({ "jwt": jwt_table() }));
    let verifier = auth.verifier().expect("a verifier");
    assert!(!verifier.needs_keys(NOW));
    let unknown = sign(9, &changed(header(), "kid", json!("nine")), &claims());
    for _ in 0..100 {
        reason(auth.authenticate(&bearer(&unknown), NOW));
    }
    assert!(verifier.needs_keys(NOW));
    for second in 0..60 {
        reason(auth.authenticate(&bearer(&unknown), NOW));
        assert!(!verifier.needs_keys(at(NOW.unix_seconds + second)));
    }
    assert!(verifier.needs_keys(at(NOW.unix_seconds + 60)));
    verifier.set_keys(&set(json!([public(9, "nine")])), at(NOW.unix_seconds + 61));
    assert!(auth.authenticate(&bearer(&unknown), NOW).is_ok());
    assert!(!verifier.needs_keys(at(NOW.unix_seconds + 3660)));
    assert!(verifier.needs_keys(at(NOW.unix_seconds + 3661)), "an hour later they are old");

    let fresh = JwtVerifier::new(verifier.rules().clone());
    assert!(fresh.needs_keys(NOW) && !fresh.needs_keys(NOW));
    let auth = Authenticator::new(rules(json!({ "jwt": jwt_table() })), Some(Arc::new(fresh)), None);
    let refusal = auth.authenticate(&bearer(&unknown), NOW).expect_err("no keys yet");
    assert_eq!(refusal.code(), Code::AuthUnavailable);
}

#[test]
fn a_withdrawn_key_verifies_nothing_more() {
    let auth = authenticator(json!({ "jwt": jwt_table() }));
    let token = sign(1, &header(), &claims());
    assert!(auth.authenticate(&bearer(&token), NOW).is_ok());
    auth.verifier().expect("a verifier").set_keys(&set(json!([public(2, "two")])), NOW);
    assert!(reason(auth.authenticate(&bearer(&token), NOW)).contains("no key"));
}

#[test]
fn api_keys_and_tokens_are_two_ways_in() {
    let both = authenticator(json!({ "jwt": jwt_table(), "api-key": { "header": "X-Key" }, "realm": "shop" }));
    let key = |value: &'static str| {
        HeaderMap::from_iter([(HeaderName::from_static("x-key"), HeaderValue::from_static(value))])
    };
    let identity = both.authenticate(&key("right"), NOW).expect("passes").expect("somebody");
    assert_eq!((identity.subject.as_str(), identity.method), ("key-1", AuthMethod::ApiKey));

    let mut doubled = key("right");
    doubled.append("x-key", HeaderValue::from_static("right"));
    let mut with_token = key("right");
    with_token.insert(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
    let long: &'static str = "k".repeat(MAX_API_KEY_BYTES + 1).leak();
    for wrong in [key("wrong"), key(""), key(long), doubled, with_token] {
        let refusal = both.authenticate(&wrong, NOW).expect_err("a refusal");
        let challenges: Vec<_> = refusal.headers().get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(
            challenges,
            ["Bearer realm=\"shop\", error=\"invalid_token\"", "ApiKey realm=\"shop\", header=\"x-key\""]
        );
    }
    let refusal = both.authenticate(&HeaderMap::new(), NOW).expect_err("a refusal");
    assert_eq!(refusal.headers()[WWW_AUTHENTICATE], "Bearer realm=\"shop\"");

    let basic = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"))]);
    assert!(both.authenticate(&basic, NOW).is_err());
    let mut tokens = bearer(&sign(1, &header(), &claims()));
    tokens.append(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    assert!(both.authenticate(&tokens, NOW).is_err(), "which of the two the component would read is open");
}

#[test]
fn optional_credentials_may_be_missing_but_not_wrong() {
    let auth = authenticator(json!({ "api-key": {}, "optional": true }));
    assert_eq!(auth.authenticate(&HeaderMap::new(), NOW).expect("passes"), None);
    let wrong = HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), HeaderValue::from_static("wrong"))]);
    assert!(auth.authenticate(&wrong, NOW).is_err());
}

#[test]
fn tables_are_checked() {
    let jwt = |key: &str, value: Value| json!({ "jwt": changed(jwt_table(), key, value) });
    for (wrong, part) in [
        (json!({}), "api-key"),
        (json!({ "api-key": { "header": "authorization" } }), "authorization"),
        (json!({ "api-key": { "query": "key" } }), "query"),
        (json!({ "api-key": {}, "realm": "a\"b" }), "realm"),
        (json!({ "api-keys": {} }), "api-keys"),
        (jwt("jwks", json!("http://id.test/keys")), "https"),
        (jwt("jwks", json!("file:///etc/passwd")), "https"),
        (jwt("jwks", json!("https://u:p@id.test/keys")), "user information"),
        (jwt("jwks", Value::Null), "jwks"),
        (jwt("issuer", json!("")), "issuer"),
        (jwt("audience", json!([])), "audience"),
        (jwt("audience", Value::Null), "audience"),
        (jwt("algorithms", json!(["HS256"])), "HS256"),
        (jwt("algorithms", json!(["none"])), "none"),
        (jwt("algorithms", json!([])), "algorithms"),
        (jwt("leeway-seconds", json!(301)), "leeway-seconds"),
        (jwt("user-claim", json!("")), "claim"),
        (jwt("secret", json!("x")), "secret"),
    ] {
        let message = parse_rule::<AuthRules>(&wrong, "auth").expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    }
    assert!(parse_rule::<AuthRules>(&jwt("jwks", json!("http://127.0.0.1:9/keys")), "auth").is_ok());
}

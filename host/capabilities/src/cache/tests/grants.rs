//! Tests of the table `[capabilities.cache]`.

use super::super::grant::{BackendConfig, Settings, read};
use elias_host::capability::ConfigureError;
use serde_json::{Value, json};
use std::time::Duration;

fn refused(grant: &Value) -> String {
    match read(Some(grant)) {
        Err(ConfigureError::Invalid(message)) => message,
        Err(other) => panic!("{grant} gave {other:?}"),
        Ok(_) => panic!("{grant} was accepted"),
    }
}

fn accepted(grant: &Value) -> Settings {
    read(Some(grant)).unwrap_or_else(|error| panic!("{grant} gave {error}"))
}

#[test]
fn every_key_has_a_default() {
    let settings = accepted(&json!({}));
    assert!(matches!(settings.backend, BackendConfig::Memory { total_bytes: 0x400_0000 }));
    assert_eq!(settings.caps.key_bytes, 512);
    assert_eq!(settings.caps.value_bytes, 1 << 20);
    assert_eq!(settings.caps.keys_per_call, 100);
    assert_eq!(settings.operations, 64);
    assert!(matches!(read(None), Err(ConfigureError::NotGranted)));
}

#[test]
fn what_is_set_is_taken() {
    let settings = accepted(&json!({ "backend": "redis", "url": "redis://localhost", "timeout-ms": 50 }));
    assert!(matches!(settings.backend, BackendConfig::Redis { timeout, .. } if timeout == Duration::from_millis(50)));
    let settings = accepted(&json!({ "key-bytes": 8, "value-bytes": 9, "keys-per-call": 3, "operations": 2 }));
    assert_eq!((settings.caps.key_bytes, settings.caps.value_bytes), (8, 9));
    assert_eq!((settings.caps.keys_per_call, settings.operations), (3, 2));
}

#[test]
fn what_is_wrong_is_named_and_not_quoted() {
    for (grant, key) in [
        (json!({ "size": 1 }), "size"),
        (json!({ "backend": "secret" }), "backend"),
        (json!({ "backend": "redis" }), "url"),
        (json!({ "backend": "redis", "url": "http://user:secret@host" }), "url"),
        (json!({ "backend": "redis", "url": "secret" }), "url"),
        (json!({ "backend": "redis", "url": 3 }), "url"),
        (json!({ "backend": "redis", "url": { "env": "ELIAS_TEST_NOT_SET" } }), "ELIAS_TEST_NOT_SET"),
        (json!({ "backend": "redis", "url": { "env": "PATH", "more": 1 } }), "url"),
        (json!({ "backend": "redis", "url": { "env": "PATH" } }), "url"),
        (json!({ "backend": "redis", "url": "redis://h", "root-certificate": "/secret" }), "root-certificate"),
        (json!({ "backend": "redis", "url": "rediss://h", "root-certificate": "/no/secret" }), "root-certificate"),
        (json!({ "backend": "redis", "url": "rediss://h", "root-certificate": "/dev/zero" }), "root-certificate"),
        (json!({ "backend": "redis", "url": "rediss://h", "root-certificate": "/etc/hostname" }), "root-certificate"),
        (json!({ "backend": "redis", "url": "rediss://h", "root-certificate": 3 }), "root-certificate"),
        (json!({ "key-bytes": 0 }), "key-bytes"),
        (json!({ "key-bytes": "secret" }), "key-bytes"),
        (json!({ "value-bytes": -1 }), "value-bytes"),
        (json!({ "value-bytes": 1.5 }), "value-bytes"),
        (json!({ "keys-per-call": 0 }), "keys-per-call"),
        (json!({ "total-bytes": 1000 }), "total-bytes"),
        (json!({ "operations": 0 }), "operations"),
        (json!({ "timeout-ms": u64::MAX }), "timeout-ms"),
    ] {
        let message = refused(&grant);
        assert!(message.contains(key), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

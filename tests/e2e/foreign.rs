//! Components that our toolchain did not make.

use elias_capabilities::{Cache, Config};
use elias_host::{Grants, Host, LoadOptions};
use elias_tests::serve::Server;

/// A `wasi:http` component written by hand: answers 202 to everything.
const ACCEPTED: &str = r#"
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "response-outparam" (type $out (sub resource)))
    (type $dns (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns-e (eq $dns)))
    (type $tls (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls-e (eq $tls)))
    (type $size (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size-e (eq $size)))
    (type $code (variant
      (case "DNS-timeout") (case "DNS-error" $dns-e) (case "destination-not-found") (case "destination-unavailable")
      (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused")
      (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout")
      (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error")
      (case "TLS-certificate-error") (case "TLS-alert-received" $tls-e) (case "HTTP-request-denied")
      (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size-e))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size-e)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size-e) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size-e)
      (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $code-e (eq $code)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $out)) (param "response" (result (own $response) (error $code-e)))))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $response (canon lower (func $types "[constructor]outgoing-response")))
  (core func $status (canon lower (func $types "[method]outgoing-response.set-status-code")))
  (core func $set (canon lower (func $types "[static]response-outparam.set") (memory (core memory $memory "memory"))))
  (core module $main
    (import "" "fields" (func $fields (result i32)))
    (import "" "response" (func $response (param i32) (result i32)))
    (import "" "status" (func $status (param i32 i32) (result i32)))
    (import "" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (func (export "handle") (param $request i32) (param $out i32) (local $answer i32)
      (local.set $answer (call $response (call $fields)))
      (drop (call $status (local.get $answer) (i32.const 202)))
      (call $set (local.get $out) (i32.const 0) (local.get $answer) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  (core instance $main (instantiate $main (with "" (instance
    (export "fields" (func $fields)) (export "response" (func $response))
    (export "status" (func $status)) (export "set" (func $set))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $main "handle")))
  (component $handler
    (import "request" (type $request (sub resource)))
    (import "out" (type $out (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $out))))
    (export "handle" (func $handle)))
  (instance $handler (instantiate $handler
    (with "request" (type $request)) (with "out" (type $outparam)) (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"#;

#[tokio::test]
async fn works_when_a_component_was_made_by_another_toolchain() {
    let component = wat::parse_str(ACCEPTED).expect("valid text");
    let server = Server::start(&component, &[]);
    for _ in 0..3 {
        assert_eq!(server.get("/anything").await.status, 202);
    }
}

/// Puts its input into `wasi:keyvalue` under the key that `wasi:config` has as `k`, and answers with what it finds
/// there.
const KEEPER: &str = r#"
(component
  (import "wasi:keyvalue/store@0.2.0-draft2" (instance $store
    (type $e (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $e)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))
    (export "[method]bucket.get" (func (param "self" (borrow $bucket)) (param "key" string)
      (result (result (option (list u8)) (error $error)))))
    (export "[method]bucket.set" (func (param "self" (borrow $bucket)) (param "key" string) (param "value" (list u8))
      (result (result (error $error)))))))
  (import "wasi:config/store@0.2.0-rc.1" (instance $config
    (type $e (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $e)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 8) "k")
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $bytes))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $config (canon lower (func $config "get") (memory $bytes) (realloc $realloc)))
  (core func $open (canon lower (func $store "open") (memory $bytes) (realloc $realloc)))
  (core func $get (canon lower (func $store "[method]bucket.get") (memory $bytes) (realloc $realloc)))
  (core func $set (canon lower (func $store "[method]bucket.set") (memory $bytes) (realloc $realloc)))
  (core module $main
    (import "" "memory" (memory 1))
    (import "" "config" (func $config (param i32 i32 i32)))
    (import "" "open" (func $open (param i32 i32 i32)))
    (import "" "get" (func $get (param i32 i32 i32 i32)))
    (import "" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (func (export "call") (param i32 i32) (result i32)
      (call $config (i32.const 8) (i32.const 1) (i32.const 64))
      (call $open (i32.const 0) (i32.const 0) (i32.const 96))
      (call $set (i32.load (i32.const 100)) (i32.load (i32.const 72)) (i32.load (i32.const 76))
        (local.get 0) (local.get 1) (i32.const 128))
      (call $get (i32.load (i32.const 100)) (i32.load (i32.const 72)) (i32.load (i32.const 76)) (i32.const 160))
      (i32.store8 (i32.const 16) (i32.const 0))
      (i64.store (i32.const 20) (i64.load (i32.const 168)))
      (i32.const 16)))
  (core instance $main (instantiate $main (with "" (instance
    (export "memory" (memory $bytes)) (export "config" (func $config)) (export "open" (func $open))
    (export "get" (func $get)) (export "set" (func $set))))))
  (type $exception (record (field "name" string) (field "message" string) (field "stack" string)))
  (func $call (param "input" string) (result (result string (error $exception)))
    (canon lift (core func $main "call") (memory $bytes) (realloc $realloc)))
  (component $interface
    (type $record (record (field "name" string) (field "message" string) (field "stack" string)))
    (import "import-exception" (type $imported (eq $record)))
    (import "import-call" (func $call (param "input" string) (result (result string (error $imported)))))
    (export $exception "exception" (type $imported))
    (export "call" (func $call) (func (param "input" string) (result (result string (error $exception))))))
  (instance $interface (instantiate $interface
    (with "import-exception" (type $exception)) (with "import-call" (func $call))))
  (export "elias:component/call@0.1.0" (instance $interface)))
"#;

#[tokio::test]
async fn wasi_keyvalue_and_wasi_config_have_the_same_backends() {
    let component = wat::parse_str(KEEPER).expect("valid text");
    let host = Host::builder().capability(Cache::new()).capability(Config).build().expect("a host");
    let redis = serde_json::json!({ "backend": "redis", "url": elias_tests::services::redis() });
    for cache in [serde_json::json!({}), redis] {
        let grants = Grants::none().with("cache", cache).with("config", serde_json::json!({ "k": "the key" }));
        let options = LoadOptions { grants, name: Some("keeper".into()), ..LoadOptions::default() };
        let app = host.load_with(&component, &options).await.expect("it loads");
        let input = serde_json::json!(["kept", 1]);
        assert_eq!(app.call(&input).await.expect("an answer").value, input);
    }
    let refused = host.load(&component).await.expect_err("nothing was granted");
    assert_eq!(refused.code().as_str(), "capability-denied");
}

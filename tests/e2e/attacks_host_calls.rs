//! Work that a component has the host do for it: paid, bounded, and ended with the execution.

use elias_tests::serve::Server;
use futures::future::{join_all, select_all};

/// A component that attacks on the paths of `attacks` and answers `fine` elsewhere.
fn attacker(attacks: &str, flags: &[&str]) -> Server {
    let source = format!(
        r#"
        const attacks = {{ {attacks} }};
        const outcome = (promise) => Promise.resolve(promise).then(() => "done", (error) => error.name);
        export default {{
          async fetch(request) {{
            const name = new URL(request.url).pathname.slice(1);
            return new Response(name in attacks ? await attacks[name](request) : "fine");
          }},
        }};
        "#
    );
    Server::of(&source, flags)
}

#[tokio::test]
async fn a_log_line_is_cut_before_anything_else_is_done_to_it() {
    let server = attacker(
        r#"
        frames() { console.log("frames" + "    at f (app.js:1:1)\n".repeat(200_000)); return "done"; },
        escaped() { console.log("escaped" + "    at f (app.js:1:1)\\n".repeat(200_000)); return "done"; },
        endless() { console.log("endless" + "    at ".repeat(500_000)); return "done"; },
        backslashes() { console.log("backslashes" + "\\".repeat(4_000_000)); return "done"; },
        quotes() { console.log("quotes    at f (app.js:1:1" + '"'.repeat(4_000_000)); return "done"; },
        error() {
          const error = new Error("message");
          error.stack = "error" + "    at f (app.js:1:1)\n".repeat(20_000);
          console.error(error);
          return "done";
        },
        "#,
        &["--workers", "1"],
    );
    for attack in ["frames", "escaped", "endless", "backslashes", "quotes", "error"] {
        assert_eq!(server.get(&format!("/{attack}")).await.body, "done", "{attack}");
        let log = server.logged(&format!("\"message\":\"{attack}")).await;
        let line = log.lines().find(|line| line.contains(&format!("\"message\":\"{attack}"))).expect("it was logged");
        assert!(line.len() < 80_000, "{attack} wrote {} bytes", line.len());
        assert!(line.contains("bytes more)"), "{attack} does not say that it was cut");
    }
}

#[tokio::test]
async fn what_is_not_seen_or_ends_a_line_elsewhere_is_shown_in_the_log() {
    let server = attacker(
        r#"hidden() { console.log("hidden\u2028A\u2029B\u200bC\ufeffD\u202eE\u2066F\u{e0041}G"); return "done"; },"#,
        &[],
    );
    assert_eq!(server.get("/hidden").await.body, "done");
    let log = server.logged("hidden").await;
    let line = log.lines().find(|line| line.contains("hidden")).expect("it was logged");
    let event: serde_json::Value = serde_json::from_str(line).expect("a line is one JSON object");
    assert_eq!(event["message"], r"hidden\u{2028}A\u{2029}B\u{200b}C\u{feff}D\u{202e}E\u{2066}F\u{e0041}G");
}

#[tokio::test]
async fn rsa_keys_and_salts_without_measure_are_refused() {
    let server = attacker(
        r#"
        async primes() {
          const made = { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]),
            hash: "SHA-256" };
          const pair = await crypto.subtle.generateKey(made, true, ["sign", "verify"]);
          const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey);
          const results = [];
          for (const part of ["n", "e", "d", "p", "q"]) {
            const long = { ...jwk, [part]: "w".repeat(40_000) };
            results.push(await outcome(crypto.subtle.importKey("jwk", long, made, true, ["sign"])));
          }
          results.push(await outcome(crypto.subtle.importKey("pkcs8", new Uint8Array(8_000_000).fill(48), made, true,
            ["sign"])));
          return results.every((result) => result !== "done") ? "refused" : results.join();
        },
        async salt() {
          const made = { name: "RSA-PSS", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]),
            hash: "SHA-256" };
          const { privateKey, publicKey } = await crypto.subtle.generateKey(made, true, ["sign", "verify"]);
          const data = new Uint8Array(3);
          const results = [];
          for (const saltLength of [223, 100_000_000, 4_294_967_295]) {
            results.push(await outcome(crypto.subtle.sign({ name: "RSA-PSS", saltLength }, privateKey, data)));
            const verified = await crypto.subtle.verify({ name: "RSA-PSS", saltLength }, publicKey, new Uint8Array(256),
              data).catch(() => false);
            if (verified) results.push("done");
          }
          return results.every((result) => result !== "done") ? "refused" : results.join();
        },
        "#,
        &["--fuel", "20000000000"],
    );
    assert_eq!(server.get("/primes").await.body, "refused");
    assert_eq!(server.get("/salt").await.body, "refused");
    assert_eq!(server.get("/").await.body, "fine");
}

const DERIVATIONS: &str = r#"
    async pbkdf2() {
      const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
      const how = { name: "PBKDF2", hash: "SHA-512", salt: new Uint8Array(8), iterations: 10_000_000 };
      return outcome(crypto.subtle.deriveBits(how, key, 4096));
    },
    async small() {
      const key = await crypto.subtle.importKey("raw", new Uint8Array(8), "PBKDF2", false, ["deriveBits"]);
      const how = { name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(8), iterations: 1000 };
      return outcome(crypto.subtle.deriveBits(how, key, 256));
    },
    async rsa() {
      const how = { name: "RSA-PSS", modulusLength: 4096, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
      for (;;) await crypto.subtle.generateKey(how, true, ["sign"]);
    },
"#;
const ENDLESS_FUEL: &[&str] = &["--workers", "1", "--fuel", "1000000000000000"];

#[tokio::test]
async fn neighbours_are_answered_while_keys_are_derived() {
    let server = attacker(DERIVATIONS, &[ENDLESS_FUEL, &["--deadline-ms", "60000"]].concat());
    let attacks = select_all((0..40).map(|number| {
        let path = if number % 4 == 0 { "/rsa" } else { "/pbkdf2" };
        Box::pin(server.get(path))
    }));
    let neighbours = async {
        for _ in 0..30 {
            assert_eq!(server.get("/").await.body, "fine");
        }
    };
    // Each of the attacks takes a core for minutes. Did one hold the only thread, or neighbours wait for their end, it
    // would end first.
    tokio::select! {
        (ended, ..) = attacks => panic!("the neighbours had to wait for a derivation: {ended:?}"),
        () = neighbours => {}
    }
}

#[tokio::test]
async fn derivations_end_at_the_deadline_and_leave_nothing_behind() {
    let server = attacker(DERIVATIONS, &[ENDLESS_FUEL, &["--deadline-ms", "400"]].concat());
    for answer in join_all((0..40).map(|_| server.get("/pbkdf2"))).await {
        assert_eq!(answer.code(), "deadline", "{answer:?}");
    }
    // The next derivation does not stand behind one that nobody waits for any more.
    let mut answer = server.get("/small").await;
    for _ in 0..20 {
        if answer.status == 200 {
            break;
        }
        answer = server.get("/small").await;
    }
    assert_eq!(answer.body, "done");
}

#[tokio::test]
async fn hashing_is_paid_by_the_byte() {
    let server = attacker(
        r#"
        async hash(request) {
          const bytes = Number(new URL(request.url).searchParams.get("bytes"));
          await crypto.subtle.digest("SHA-256", new Uint8Array(bytes));
          return "done";
        },
        async over() {
          const data = new Uint8Array(12_000_000);
          for (;;) await crypto.subtle.digest("SHA-512", data);
        },
        "#,
        &[],
    );
    assert_eq!(server.get("/hash?bytes=12000000").await.body, "done");
    assert_eq!(server.get("/over").await.code(), "out-of-fuel");
    assert_eq!(server.get("/hash?bytes=17000000").await.code(), "host-call-too-large");
    assert_eq!(server.get("/").await.body, "fine");
}

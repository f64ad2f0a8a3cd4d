//! `crypto.subtle`, by what it answers, and what keeps it within its bounds.

use elias_tests::serve::Server;

/// A component that answers with what `body`, the body of an async function, returns.
fn served(body: &str, flags: &[&str]) -> Server {
    let source = format!(
        r#"
        const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        const text = (string) => new TextEncoder().encode(string);
        const {{ subtle }} = crypto;
        async function run(request) {{ {body} }}
        export default {{ fetch: async (request) => Response.json(await run(request)) }};
        "#
    );
    Server::of(&source, flags)
}

#[tokio::test]
async fn known_answers() {
    let server = served(
        r#"
        const key = await subtle.importKey("raw", text("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
        const password = await subtle.importKey("raw", text("password"), "PBKDF2", false, ["deriveBits"]);
        const derived = { name: "PBKDF2", hash: "SHA-256", salt: text("salt"), iterations: 2 };
        return [
          hex(await subtle.digest("SHA-1", text("abc"))),
          hex(await subtle.digest("SHA-256", text("abc"))),
          hex(await subtle.sign("HMAC", key, text("The quick brown fox jumps over the lazy dog"))),
          hex(await subtle.deriveBits(derived, password, 256)),
        ];
        "#,
        &[],
    );
    let answer = server.get("/").await.json();
    let wanted = serde_json::json!([
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43",
    ]);
    assert_eq!(answer, wanted);
}

#[tokio::test]
async fn every_algorithm_undoes_or_verifies_what_it_did() {
    let server = served(
        r#"
        const data = text("the message");
        const results = {};
        for (const [name, more, length] of [["AES-GCM", { iv: new Uint8Array(12) }],
          ["AES-CBC", { iv: new Uint8Array(16) }], ["AES-CTR", { counter: new Uint8Array(16), length: 64 }]]) {
          const key = await subtle.generateKey({ name, length: 256 }, true, ["encrypt", "decrypt"]);
          const sealed = await subtle.encrypt({ name, ...more }, key, data);
          results[name] =
            hex(await subtle.decrypt({ name, ...more }, key, sealed)) === hex(data) && hex(sealed) !== hex(data);
        }
        const rsa = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
        for (const algorithm of [
          { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
          { name: "ECDSA", namedCurve: "P-384", hash: "SHA-512" },
          { name: "ECDSA", namedCurve: "P-521", hash: "SHA-256" }, { name: "Ed25519" },
          { name: "RSASSA-PKCS1-v1_5", ...rsa }, { name: "RSA-PSS", ...rsa, saltLength: 32 },
        ]) {
          const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
          const signature = await subtle.sign(algorithm, privateKey, data);
          const again = await subtle.importKey("jwk", await subtle.exportKey("jwk", publicKey), algorithm, true,
            ["verify"]);
          const der = await subtle.importKey("pkcs8", await subtle.exportKey("pkcs8", privateKey), algorithm, true,
            ["sign"]);
          const other = await subtle.sign(algorithm, der, data);
          results[algorithm.name + (algorithm.namedCurve ?? "")] =
            (await subtle.verify(algorithm, again, signature, data)) &&
            (await subtle.verify(algorithm, publicKey, other, data)) &&
            !(await subtle.verify(algorithm, publicKey, signature, text("another message")));
        }
        for (const algorithm of [{ name: "ECDH", namedCurve: "P-256" }, { name: "X25519" }]) {
          const pair = () => subtle.generateKey(algorithm, true, ["deriveBits"]);
          const [a, b] = [await pair(), await pair()];
          const one = await subtle.deriveBits({ name: algorithm.name, public: b.publicKey }, a.privateKey, 256);
          const two = await subtle.deriveBits({ name: algorithm.name, public: a.publicKey }, b.privateKey, 256);
          results[algorithm.name] = hex(one) === hex(two);
        }
        const oaep = await subtle.generateKey({ name: "RSA-OAEP", ...rsa }, true, ["encrypt", "decrypt"]);
        const sealed = await subtle.encrypt("RSA-OAEP", oaep.publicKey, data);
        results["RSA-OAEP"] = hex(await subtle.decrypt("RSA-OAEP", oaep.privateKey, sealed)) === hex(data);
        return results;
        "#,
        &["--fuel", "20000000000"],
    );
    let answer = server.get("/").await;
    let results = answer.json();
    let results = results.as_object().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(results.len(), 12, "{results:?}");
    assert!(results.values().all(|result| result == true), "{results:?}");
}

#[tokio::test]
async fn errors_are_those_of_the_standard() {
    let server = served(
        r#"
        const name = (promise) => promise.then(() => "none", (error) => error.name);
        const key = await subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
        const iv = new Uint8Array(12);
        return Promise.all([
          name(subtle.digest("MD4", text(""))),
          name(subtle.exportKey("raw", key)),
          name(subtle.decrypt({ name: "AES-GCM", iv }, key, new Uint8Array(40))),
          name(subtle.sign("HMAC", key, text(""))),
          name(subtle.importKey("raw", new Uint8Array(5), "AES-GCM", true, ["encrypt"])),
          name(subtle.generateKey({ name: "AES-GCM", length: 128 }, true, [])),
          name(subtle.importKey("spki", new Uint8Array(80), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"])),
        ]);
        "#,
        &[],
    );
    assert_eq!(
        server.get("/").await.body,
        concat!(
            r#"["NotSupportedError","InvalidAccessError","OperationError","InvalidAccessError","#,
            r#""DataError","SyntaxError","DataError"]"#
        )
    );
}

#[tokio::test]
async fn work_in_the_host_is_paid_for_in_fuel() {
    let server = served(
        r#"
        const password = await subtle.importKey("raw", text("password"), "PBKDF2", false, ["deriveBits"]);
        const iterations = Number(new URL(request.url).searchParams.get("iterations"));
        return hex(await subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: text("salt"), iterations },
          password, 256));
        "#,
        &[],
    );
    assert_eq!(server.get("/?iterations=4000000000").await.code(), "out-of-fuel");
    assert_eq!(server.get("/?iterations=5000000").await.code(), "out-of-fuel");
    assert_eq!(server.get("/?iterations=1000").await.status, 200, "what went before did no harm");
}

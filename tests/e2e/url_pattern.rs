//! URLPattern, and what of regular expressions it needs of the engine.

use elias_tests::serve::Server;
use serde_json::json;

#[tokio::test]
async fn patterns_have_groups_in_host_names_and_sets() {
    let server = Server::of(
        r#"
        const groups = (pattern, input, name) => new URLPattern(pattern).exec(input)?.[name].groups ?? null;
        const refused = (init) => {
          try { new URLPattern(init); return "taken"; } catch (error) { return error.constructor.name; }
        };
        const subdomains = new URLPattern({ hostname: "{*.}?example.com" });
        const day = "https://my-shop.example.com/a-b--c/:day(\\d{4}-\\d{2})";
        export default {
          fetch: () => Response.json({
            optional: ["", "a.b.", "bad"].map((label) => subdomains.test(`https://${label}example.com/`)),
            sub: groups({ hostname: ":sub.日本.jp" }, "https://x.日本.jp/", "hostname"),
            hyphens: groups(day, "https://my-shop.example.com/a-b--c/2024-05", "pathname"),
            sets: ["/z", "/a"].map((pathname) => new URLPattern({ pathname: "/([[a-z]--a])" }).test({ pathname })),
            port: new URLPattern({ protocol: "https", port: "443" }).port,
            refused: [{ hostname: "a b" }, { pathname: "/(" }, { pathname: "/([(])" }].map(refused),
            // Outside of sets, the flag v forbids no more than u.
            plain: /^a-b::c&&d$/v.test("a-b::c&&d"),
            set: /^[\w--\d]$/v.test("a") && !/^[\w--\d]$/v.test("1"),
          }),
        };
        "#,
        &["--dev"],
    );
    let expected = json!({
        "optional": [true, true, false], "sub": { "sub": "x" }, "hyphens": { "day": "2024-05" }, "sets": [true, false],
        "port": "", "refused": ["TypeError", "TypeError", "TypeError"], "plain": true, "set": true,
    });
    assert_eq!(server.get("/").await.json(), expected);
}

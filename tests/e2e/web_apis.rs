//! Web APIs whose native half decides: shared memory, the clock, and URLs.

use elias_tests::serve::Server;
use serde_json::json;

#[tokio::test]
async fn shared_memory_is_taken_where_the_standards_allow_it() {
    let server = Server::of(
        r#"
        const shared = () => new Uint8Array(new SharedArrayBuffer(4));
        const compressed = async (chunk) => {
          const { readable, writable } = new CompressionStream("gzip");
          const writer = writable.getWriter();
          writer.write(chunk).then(() => writer.close()).catch(() => {});
          return new Response(readable).bytes().then(() => "taken", (error) => error.constructor.name);
        };
        export default {
          async fetch() {
            const into = shared();
            const { read, written } = new TextEncoder().encodeInto("aé€", into);
            const decoder = new TextDecoder();
            return Response.json({
              read, written, bytes: [...into],
              view: decoder.decode(into.subarray(0, 3)), whole: decoder.decode(into.buffer).length,
              streamed: decoder.decode(into.subarray(0, 2), { stream: true }) + decoder.decode(into.subarray(2, 3)),
              compressed: [await compressed(into), await compressed(into.buffer)],
              digest: await crypto.subtle.digest("SHA-256", into).catch((error) => error.constructor.name),
            });
          },
        };
        "#,
        &["--dev"],
    );
    let expected = json!({
        "read": 2, "written": 3, "bytes": [0x61, 0xc3, 0xa9, 0], "view": "aé", "whole": 3, "streamed": "aé",
        "compressed": ["TypeError", "TypeError"], "digest": "TypeError",
    });
    assert_eq!(server.get("/").await.json(), expected);
}

#[tokio::test]
async fn the_clock_that_scripts_see_moves_by_five_microseconds_at_least() {
    let server = Server::of(
        r#"
        export default {
          fetch() {
            const steps = [];
            let last = performance.now();
            while (steps.length < 20) {
              const now = performance.now();
              if (now !== last) steps.push(now - last);
              last = now;
            }
            return Response.json(Math.min(...steps));
          },
        };
        "#,
        &["--dev"],
    );
    let least = server.get("/").await.json().as_f64().expect("a number");
    assert!(least > 0.00499, "a step of {least} ms");
}

#[tokio::test]
async fn urls_are_read_as_browsers_read_them() {
    let server = Server::of(
        r#"
        const set = (href, part, value) => {
          const url = new URL(href);
          url[part] = value;
          return url.href;
        };
        export default {
          fetch: () => Response.json({
            carets: ["http://h/a^b?c^d#e^f", "x://h/a^b", "x:a^b"].map((href) => new URL(href).href),
            slashes: ["///other/a", "\\\\/other/a", "/a", "//other/a"].map((href) => new URL(href, "http://h/b").href),
            ofNoWeb: new URL("///a", "x://h/b").href,
            ports: ["\n3000\n", "\n", ""].map((value) => set("https://h:1/", "port", value)),
            pathname: set("x://h/", "pathname", "/a\u0000\u001f ?#"),
          }),
        };
        "#,
        &["--dev"],
    );
    let expected = json!({
        "carets": ["http://h/a%5Eb?c^d#e^f", "x://h/a%5Eb", "x:a^b"],
        "slashes": ["http://other/a", "http://other/a", "http://h/a", "http://other/a"],
        "ofNoWeb": "x:///a", "ports": ["https://h:3000/", "https://h:1/", "https://h/"],
        "pathname": "x://h/a%00%1F%20%3F%23",
    });
    assert_eq!(server.get("/").await.json(), expected);
}

/// Natives handle plain instances; those of a subclass go through the class. Both must give the same.
#[tokio::test]
async fn natives_of_urls_give_what_their_classes_give() {
    let server = Server::of(
        r#"
        const PARTS = [
          "href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash",
          "origin",
        ];
        const NAMES = ["a", "b", "", " ", "ä", "%", "=", "?a", "A"];
        const HREFS = [
          "http://h/", "https://h:8443/p/q?a=1&b=2&a=3#f", "http://u:p@h/?a=%C3%A4&%C3%A4=b", "http://h/?&&a&=b&+=%20",
          "http://[::1]:1/?a=%zz&%61=c", "file:///C|/x?a=b", "mailto:x@y?a=b", "http://h/%2e/./a?/../b",
          "http://h#?a=b",
          "HTTP://H:80", "http://1.2.3/?a", "http://xn--a/", "nothing", "http://h/\u00e4?\u00e4=\ud800",
        ];
        class SubURL extends URL {}
        class SubParams extends URLSearchParams {}
        const look = (params) => [
          NAMES.map((name) => [params.get(name), params.has(name), params.getAll(name)]), params.size, [...params],
          [...params.keys()], [...params.values()], String(params),
        ];
        const change = (url) => {
          const params = url.searchParams;
          const steps = [look(params)];
          params.append("b", "ä&");
          url.search = `${url.search}&a=last`;
          steps.push(url.href, params.get("a"), params.getAll("b"));
          params.delete("a");
          steps.push(url.href, params.has("a"), look(params), params === url.searchParams);
          return steps;
        };
        const read = (Class, Params) => HREFS.map((href) => {
          try {
            const url = new Class(href);
            return [PARTS.map((part) => url[part]), `${url}`, url.toJSON(), look(new Params(url.search)), change(url)];
          } catch (error) {
            return `${error}`;
          }
        });
        export default {
          fetch(request) {
            const [native, ofClass] = [read(URL, URLSearchParams), read(SubURL, SubParams)];
            const different = HREFS.filter((_, at) => JSON.stringify(native[at]) !== JSON.stringify(ofClass[at]));
            const live = [];
            const params = new URLSearchParams("a=1");
            for (const [name] of params) if (live.push(name) < 3) params.append(`${name}+`, "");
            const { searchParams } = new URL(request.url);
            const same = request.url === request.url;
            return Response.json({ different, live, name: searchParams.get("name"), same });
          },
        };
        "#,
        &["--dev"],
    );
    let expected = json!({ "different": [], "live": ["a", "a+", "a++"], "name": "you & me", "same": true });
    assert_eq!(server.get("/?name=you+%26%20me").await.json(), expected);
}

//! Remedies for the exceptions that many people meet, because a component is neither a browser nor Node.js.

/// Globals of other places that are not here, and what to use instead.
const ABSENT: [(&[&str], &str); 14] = [
    (&["XMLHttpRequest"], "use `fetch`"),
    (&["WebSocket", "EventSource"], "use `fetch`, and read the response's body as a stream"),
    (
        &["localStorage", "sessionStorage", "indexedDB", "caches", "cookieStore"],
        "keep data in `elias/db` or `elias/cache`",
    ),
    (&["window", "frames", "parent", "top"], "there is no window; the global object is `globalThis`"),
    (
        &[
            "document",
            "HTMLElement",
            "Element",
            "Node",
            "DOMParser",
            "Image",
            "customElements",
            "alert",
            "location",
            "history",
        ],
        "there is no page; a component responds to requests, and makes HTML as text",
    ),
    (&["requestAnimationFrame", "requestIdleCallback", "matchMedia"], "there is no screen; use `setTimeout`"),
    (&["require", "module", "exports"], "write `import`, or `require` with a text in it, so that the file is bundled"),
    (&["__dirname", "__filename"], "there is no file system; import the file, so that it is bundled"),
    (&["fs"], "there is no file system; import the file, or keep data in `elias/db` or `elias/cache`"),
    (&["WebAssembly"], "WebAssembly cannot be compiled in a component; use the package's JavaScript build"),
    (
        &["Worker", "SharedWorker", "ServiceWorker", "importScripts"],
        "a component is one thread; use promises, or another component",
    ),
    (&["SharedArrayBuffer", "Atomics"], "a component is one thread; use ArrayBuffer"),
    (&["Deno", "Bun"], "use the web APIs, or Node.js's modules that are here (docs/reference/npm.md)"),
    (
        &["Buffer", "process", "setImmediate", "clearImmediate"],
        "import it: from `node:buffer`, `node:process` or `node:timers`",
    ),
];

/// The remedy for an exception with this name and this message, if many people meet it.
#[must_use]
pub fn for_exception(name: &str, message: &str) -> Option<&'static str> {
    match name {
        "ReferenceError" => absent(message.strip_suffix(" is not defined")?.trim_matches('\'')),
        "TypeError" if message.contains("body was already used") => {
            Some("a body can be read once: keep what you read, or call `clone()` before the first read")
        }
        "InternalError" if message.contains("out of memory") => {
            Some("hold less at a time, and stream what is large; or raise `memory-bytes`")
        }
        "RangeError" if message == "Maximum call stack size exceeded" => {
            Some("look for a recursion without an end; deep ones need a loop with a stack of its own")
        }
        _ => None,
    }
}

/// The replacement of the global `name`.
fn absent(name: &str) -> Option<&'static str> {
    ABSENT.iter().find(|(names, _)| names.contains(&name)).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::for_exception;

    #[test]
    fn advises_on_what_is_not_here_and_nothing_else() {
        let hint = |message| for_exception("ReferenceError", message);
        assert_eq!(hint("XMLHttpRequest is not defined"), Some("use `fetch`"));
        assert_eq!(hint("'XMLHttpRequest' is not defined"), Some("use `fetch`"));
        assert!(hint("__dirname is not defined").is_some_and(|hint| hint.contains("import")));
        assert_eq!(hint("totla is not defined"), None);
        assert_eq!(hint(" is not defined"), None);
        assert_eq!(for_exception("TypeError", "XMLHttpRequest is not defined"), None);
        assert!(
            for_exception("TypeError", "the body was already used, or").is_some_and(|hint| hint.contains("clone()"))
        );
    }
}

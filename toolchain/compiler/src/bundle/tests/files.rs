//! Files that are imported as text or bytes, places that are told, and packages that cannot run.

use super::{built, failed};

#[test]
fn files_are_imported_as_text_or_bytes() {
    let bundle = built(&[
        (
            "src/index.js",
            b"import page from './a.html'; import raw from './b.js?raw'; import text from './c.json' with { type: \
                'text' };\
              import bytes from './d.png?bytes'; import more from './e.bin'; import query from '../q/f.sql';\
              export default [page, raw, text, bytes, more, query]",
        ),
        ("src/a.html", b"<p class=\"x\">((((</p>"),
        ("src/b.js", b"export default 'not run'"),
        ("src/c.json", b"{ \"as\": \"text\" }"),
        ("src/d.png", b"\x89PNG\xff"),
        ("src/e.bin", b"\x00\xff"),
        ("q/f.sql", "\u{feff}select 1".as_bytes()),
    ]);
    for part in
        ["<p class=\\\"x\\\">((((</p>", "export default 'not run'", "{ \\\"as\\\": \\\"text\\\" }", "atob(", "select 1"]
    {
        assert!(bundle.code.contains(part), "{part} in\n{}", bundle.code);
    }
    let names: Vec<&str> = bundle.sources.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["q/f.sql", "src/a.html", "src/b.js", "src/c.json", "src/d.png", "src/e.bin", "src/index.js"]);
    let digest = elias_contract::digest(b"<p class=\"x\">((((</p>");
    assert!(bundle.sources.contains(&("src/a.html".to_owned(), digest)));
    let error = failed(&[("index.js", b"import x from './a.txt'; export default x"), ("a.txt", b"\xff")]);
    let text = error.render(false);
    assert!(text.contains("a.txt is not UTF-8 text") && text.contains("?bytes"), "{text}");
    let error = failed(&[("index.js", b"import x from './nowhere.html?raw'; export default x")]);
    assert_eq!(error.code(), "unresolved-import");
}

#[test]
fn a_lone_surrogate_is_text_of_json() {
    let bundle =
        built(&[("index.js", b"import x from './a.json'; export default x"), ("a.json", br#"{"a":"\ud83d"}"#)]);
    assert!(bundle.code.contains("JSON.parse("), "{}", bundle.code);
}

#[test]
fn modules_are_told_where_they_are() {
    let bundle = built(&[
        (
            "src/index.js",
            b"import c from './c.cjs'; export default [import.meta.url, import.meta.dirname, \
            import.meta.filename, typeof __dirname, c]",
        ),
        ("src/c.cjs", b"exports.x = [__dirname, __filename]; exports.own = ((__dirname) => __dirname)('own')"),
    ]);
    for part in [
        "\"file:///app/src/index.js\"",
        "\"/app/src\"",
        "\"/app/src/index.js\"",
        "\"/app/src/c.cjs\"",
        "typeof __dirname",
        "(__dirname) => __dirname",
    ] {
        assert!(bundle.code.contains(part), "{part} in\n{}", bundle.code);
    }
}

#[test]
fn what_cannot_run_is_said() {
    let bundle = built(&[
        ("index.js", b"import ws from 'ws'; import p from 'p'; export default [ws, p]"),
        ("node_modules/ws/package.json", br#"{"name":"ws","version":"8.0.0","main":"m.js"}"#),
        ("node_modules/ws/m.js", b"export default 1"),
        ("node_modules/p/package.json", br#"{"name":"p","version":"1.0.0","main":"m.cjs"}"#),
        ("node_modules/p/m.cjs", b"try { module.exports = require('./p.node') } catch (e) { module.exports = e.code }"),
        ("node_modules/p/p.node", b"\x7fELF\xff"),
    ]);
    let texts: Vec<String> = bundle.warnings.iter().map(|warning| warning.render(false)).collect();
    assert!(
        texts.iter().any(|text| text.contains("cannot-run") && text.contains("the package ws cannot work")),
        "{texts:?}"
    );
    assert!(texts.iter().any(|text| text.contains("p.node is a native addon")), "{texts:?}");
    assert!(bundle.code.contains("ERR_DLOPEN_DISABLED"), "{}", bundle.code);
}

#[test]
fn every_unresolved_import_is_told() {
    let sources: [&[u8]; 3] = [
        b"import './one.js';\nimport './two.js';\nimport './three.js';",
        b"import 'one-that-is-not-there';\nimport './two.js';\nimport '@three/that-is-not-there';",
        b"import 'one-that-is-not-there';\nimport 'two-that-is-not-there';\nimport 'elias/three';",
    ];
    for source in sources {
        let text = failed(&[("index.js", source)]).render(false);
        for place in ["[index.js:1:8]", "[index.js:2:8]", "[index.js:3:8]"] {
            assert!(text.contains(place), "{place} in\n{text}");
        }
    }
}

#[test]
fn branches_of_development_are_not_bundled() {
    let bundle = built(&[
        ("index.js", b"import x from './lib.cjs'; export default x"),
        (
            "lib.cjs",
            b"if (process.env.NODE_ENV === 'production') { module.exports = require('./p.cjs') } else \
                { module.exports = require('./d.cjs') }\
              if (typeof window !== 'undefined' && process.env.NODE_ENV !== 'production') require('not-installed');\
              'production' !== process.env.NODE_ENV && require('not-installed-either');",
        ),
        ("p.cjs", b"module.exports = 'for production'"),
        ("d.cjs", b"module.exports = 'for development'"),
    ]);
    assert!(bundle.code.contains("for production") && !bundle.code.contains("for development"), "{}", bundle.code);
    assert!(!bundle.code.contains("not-installed"), "{}", bundle.code);
}

#[test]
fn names_of_the_package_with_a_scope() {
    let bundle = built(&[("index.js", b"import { db } from '@elias/db'; export default () => db.query('select 1')")]);
    assert!(bundle.code.contains("from \"elias/db\""), "{}", bundle.code);
}

//! Small projects in temporary directories, and what their author sees.

mod boundary;
mod corpus;
mod files;

use std::path::Path;

use super::*;

/// Writes the files of a project.
fn project(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("creates directories");
        std::fs::write(path, text).expect("writes a source");
    }
    directory
}

fn run_in(cwd: &Path, entry: &str, minify: bool) -> Result<Bundle, BuildError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(bundle(&BundleOptions {
        entry: entry.into(),
        cwd: cwd.to_owned(),
        minify,
        ..BundleOptions::default()
    }))
}

/// The bundle of a project whose entry is its first file.
#[track_caller]
fn built(files: &[(&str, &[u8])]) -> Bundle {
    let directory = project(files);
    match run_in(directory.path(), files[0].0, false) {
        Ok(bundle) => bundle,
        Err(error) => panic!("{}", error.render(false)),
    }
}

/// The error of a project whose entry is its first file.
#[track_caller]
fn failed(files: &[(&str, &[u8])]) -> BuildError {
    let directory = project(files);
    let error = run_in(directory.path(), files[0].0, false).expect_err("the build fails");
    let text = error.render(false);
    assert!(!text.contains(&*directory.path().to_string_lossy()), "no absolute path in\n{text}");
    error
}

#[test]
fn bundles() {
    #[track_caller]
    fn check(files: &[(&str, &[u8])], contains: &[&str], not: &[&str]) {
        let code = built(files).code;
        for part in contains {
            assert!(code.contains(part), "{part:?} in\n{code}");
        }
        for part in not {
            assert!(!code.contains(part), "no {part:?} in\n{code}");
        }
    }
    let entry = "index.js";
    check(&[(entry, b"export default { fetch() { return 1 } }")], &["export { ", " as default }"], &["//"]);
    check(&[(entry, b"\xef\xbb\xbfexport default 'bom'")], &["bom"], &[]);
    check(&[(entry, b"#!/usr/bin/env node\nexport default 1")], &["default"], &[]);
    check(&[(entry, b"")], &[], &["export"]);
    check(
        &[(
            "index.ts",
            b"import type { T } from './t'; export default ((x: T): T => x!) satisfies object; enum E { A }",
        )],
        &["(x) => x"],
        &["satisfies", "import"],
    );
    check(
        &[
            ("src/app.tsx", b"export default () => <p class='x'>hi</p>"),
            ("tsconfig.json", br#"{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"tiny"}}"#),
            ("node_modules/tiny/jsx-runtime.js", b"export const jsx = (type, props) => ({ type, props, tiny: true })"),
        ],
        &["tiny: true", "\"p\""],
        &["<p"],
    );
    check(
        &[
            (entry, b"import d, { used } from './data.json'; import { a } from './lib.js'; export default [used, a]"),
            ("data.json", b"\xef\xbb\xbf{\"used\": 41, \"unused\": 99}"),
            ("lib.js", b"export const a = 1; export const b = 'dropped'; // a remark"),
        ],
        &["41"],
        &["dropped", "99", "remark"],
    );
    check(
        &[
            (entry, b"import c from 'cjs'; export default c.x"),
            ("node_modules/cjs/package.json", br#"{"name":"cjs","main":"m.js"}"#),
            (
                "node_modules/cjs/m.js",
                b"if (process.env.NODE_ENV !== 'production') { exports.x = 'dev' } else { exports.x = global.y }",
            ),
        ],
        &["globalThis.y", "exports.x"],
        &["dev", "process.env"],
    );
    check(
        &[
            (entry, b"import x from 'p'; export default x"),
            (
                "node_modules/p/package.json",
                br#"{"name":"p","exports":{".":{"node":"./n.js","elias":"./e.js","default":"./d.js"}}}"#,
            ),
            ("node_modules/p/e.js", b"export default 'for elias'"),
            ("node_modules/p/d.js", b"export default 'for others'"),
        ],
        &["for elias"],
        &["for others"],
    );
    check(
        &[
            (entry, b"export default async () => (await import('./later.js')).late"),
            ("later.js", b"export const late = 'inlined'"),
        ],
        &["inlined"],
        &["import("],
    );
    check(
        &[
            (entry, b"import { b } from './b.js'; export const a = () => b; export default a"),
            ("b.js", b"import { a } from './index.js'; export const b = () => a"),
        ],
        &["const b = () => a"],
        &[],
    );
    // A package that can do without says so with a try.
    check(&[(entry, b"let a; try { a = require('optional') } catch {}; export default a")], &["optional"], &["import"]);
    // A module that is shaken away may import anything.
    check(
        &[
            (entry, b"import { a } from 'p'; export default a"),
            ("node_modules/p/package.json", br#"{"name":"p","sideEffects":false,"main":"m.js"}"#),
            ("node_modules/p/m.js", b"export const a = 1; export { f } from './node.js'"),
            ("node_modules/p/node.js", b"import fs from 'node:fs'; export const f = fs"),
        ],
        &["1"],
        &["node:fs"],
    );
}

#[test]
fn a_package_may_import_what_is_not_there() {
    let bundle = built(&[
        ("index.js", b"import load from 'p'; export default load"),
        ("node_modules/p/package.json", br#"{"name":"p","main":"m.js"}"#),
        (
            "node_modules/p/m.js",
            b"export default () => [import('q').catch(() => 0), import('@s/q/r'), import('cloudflare:sockets')]",
        ),
    ]);
    for part in
        ["Cannot find package 'q'", "Cannot find package '@s/q/r'", "Sockets are not available", "ERR_MODULE_NOT_FOUND"]
    {
        assert!(bundle.code.contains(part), "{part:?} in\n{}", bundle.code);
    }
}

#[test]
fn resolves_as_bundlers_for_workers_do() {
    #[track_caller]
    fn check(source: &[u8], package: &[u8], contains: &[&str], not: &[&str]) {
        let code = built(&[
            ("index.js", source),
            ("node_modules/p/package.json", package),
            ("node_modules/p/m.js", b"export default 'module'"),
            ("node_modules/p/c.cjs", b"module.exports = 'common'"),
            (
                "node_modules/p/u.cjs",
                b"exports.u = [require('util').inspect, require('node:util'), require('fs'), require('./c.cjs')]",
            ),
            (
                "node_modules/p/w.js",
                b"import { format, nothing } from 'util'; import fs from 'fs'; export default [format, nothing, fs]",
            ),
        ])
        .code;
        for part in contains {
            assert!(code.contains(part), "{part:?} in\n{code}");
        }
        for part in not {
            assert!(!code.contains(part), "no {part:?} in\n{code}");
        }
    }
    let both = br#"{"name":"p","exports":{"node":"./x.js","import":"./m.js","require":"./c.cjs"}}"#;
    check(b"import x from 'p'; export default x", both, &["\"module\""], &["\"common\""]);
    check(b"module.exports = require('p')", both, &["\"common\""], &["\"module\""]);
    let order = br#"{"name":"p","exports":{"default":"./m.js","worker":"./c.cjs"}}"#;
    check(b"import x from 'p'; export default x", order, &["\"module\""], &["\"common\""]);
    let workerd = br#"{"name":"p","exports":{"browser":"./m.js","workerd":"./c.cjs"},"main":"./u.cjs"}"#;
    check(b"import x from 'p'; export default x", workerd, &["\"module\""], &[]);
    // A module of Node.js is imported once, whichever way it was asked for; what we lack of it throws where it is used.
    let node = br#"{"name":"p","main":"./u.cjs"}"#;
    check(
        b"import { u } from 'p'; export default u",
        node,
        &["from \"node:util\"", "There is no file system", "common"],
        &["require(\"util"],
    );
    check(
        b"import w from 'p/w.js'; export default w",
        node,
        &["from \"node:util\"", ".nothing"],
        &["from \"node:fs\""],
    );
    let mapped = br#"{"name":"p","main":"./u.cjs","browser":{"fs":false,"./c.cjs":"./m.js","util":"./c.cjs"}}"#;
    check(b"import { u } from 'p'; export default u", mapped, &["\"module\""], &["no file system"]);
    check(
        b"import { format } from 'util'; export default format",
        node,
        &["import { format } from \"node:util\""],
        &[],
    );
}

#[test]
fn tells_what_it_read() {
    let bundle = built(&[
        ("src/index.ts", b"import { b } from './b'; export const version = '1'; export default b;"),
        ("src/b.ts", b"export const b: number[] = [];"),
        ("tsconfig.json", b"{}"),
    ]);
    assert!(bundle.has_default_export);
    assert_eq!(bundle.exports, ["default", "version"]);
    let digest = |text: &str| elias_contract::digest(text.as_bytes());
    assert_eq!(
        bundle.sources,
        [
            ("src/b.ts".to_owned(), digest("export const b: number[] = [];")),
            (
                "src/index.ts".to_owned(),
                digest("import { b } from './b'; export const version = '1'; export default b;")
            ),
        ]
    );
    let names: Vec<_> = bundle.modules.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["b.ts", "index.ts", "tsconfig.json"]);
    let map = elias_contract::stack::SourceMap::from_json_string(&bundle.map).expect("a source map");
    let line = bundle.code.lines().position(|line| line.contains("const b")).expect("b is in the bundle");
    let at = elias_contract::stack::locate(&map, u32::try_from(line).expect("small") + 1, 7).expect("b is mapped");
    assert_eq!((at.file, at.line, at.column), ("src/b.ts", 1, 14));
    assert_eq!(at.source, Some("export const b: number[] = [];"));
    assert!(!built(&[("a.js", b"export const x = 1")]).has_default_export);
}

#[test]
fn same_bytes_everywhere() {
    let files: &[(&str, &[u8])] = &[
        ("src/index.ts", b"import { b } from './b'; import c from 'cjs'; export default [b, c];"),
        ("src/b.ts", b"export const b: number[] = [];"),
        ("node_modules/cjs/index.js", b"exports.x = require('./y.json')"),
        ("node_modules/cjs/y.json", b"{\"z\":1}"),
    ];
    for minify in [false, true] {
        let (one, two) = (project(files), project(files));
        let nested = two.path().join("a/much/longer/path");
        std::fs::create_dir_all(&nested).expect("creates directories");
        for name in ["src", "node_modules"] {
            std::fs::rename(two.path().join(name), nested.join(name)).expect("moves the project");
        }
        let first = run_in(one.path(), "src/index.ts", minify).expect("builds");
        let second = run_in(&nested, "./src/index.ts", minify).expect("builds");
        let third =
            run_in(&nested.join("src/.."), &nested.join("src/index.ts").to_string_lossy(), minify).expect("builds");
        for other in [&second, &third] {
            assert_eq!(first.code, other.code);
            assert_eq!(first.map, other.map);
            assert_eq!(first.sources, other.sources);
        }
        let temporary = std::env::temp_dir().to_string_lossy().into_owned();
        assert!(!first.code.contains(&temporary) && !first.map.contains(&temporary), "{}\n{}", first.code, first.map);
        assert!(
            first.map.contains(r#""src/b.ts""#) && first.map.contains(r#""node_modules/cjs/index.js""#),
            "{}",
            first.map
        );
    }
}

#[test]
fn errors_show_place_and_help() {
    #[track_caller]
    fn check(files: &[(&str, &[u8])], name: &str, expect: &[&str]) {
        let error = failed(files);
        let text = error.render(false);
        assert_eq!(error.code(), name, "{text}");
        for part in expect {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
    let entry = "src/index.js";
    check(&[(entry, b"let a = 1;\nlet b = ;\n")], "syntax-error", &["[src/index.js:2:9]", "let b = ;"]);
    check(&[(entry, b"export default {\n")], "syntax-error", &["src/index.js:"]);
    check(&[(entry, b"let x: number = 1")], "syntax-error", &["[src/index.js:1:6]", "end in .ts."]);
    check(&[(entry, b"export default <p>hi</p>")], "syntax-error", &["[src/index.js:1:16]", "end in .jsx."]);
    check(&[(entry, b"const a = 1;\nconst a = 2;")], "syntax-error", &["src/index.js:"]);
    check(&[(entry, b"let a = '\xff\xfe';")], "syntax-error", &["[src/index.js:1:10]", "UTF-8"]);
    check(&[(entry, b"\0\x01\x02\x7fELF")], "syntax-error", &["[src/index.js:1:1]"]);
    check(
        &[(entry, b"import x from './bad.json'; export default x"), ("src/bad.json", b"{\n  \"a\": oops\n}")],
        "syntax-error",
        &["[src/bad.json:2:8]"],
    );
    check(
        &[(entry, b"\nimport x from './utl.js'; export default x"), ("src/util.js", b"")],
        "unresolved-import",
        &["[src/index.js:2:15]", "cannot find \"./utl.js\"", "Did you mean `./util.js`?"],
    );
    check(
        &[(entry, b"import '../lib/x.js'")],
        "unresolved-import",
        &["[src/index.js:1:8]", "There is no directory `../lib`."],
    );
    check(&[(entry, b"import './a'"), ("src/a.json5", b"")], "unresolved-import", &["Did you mean `./a.json5`?"]);
    check(&[(entry, b"import 'hono'")], "unresolved-import", &["[src/index.js:1:8]", "npm install hono"]);
    check(&[(entry, b"export default () => import('@a/b/c')")], "unresolved-import", &["npm install @a/b`"]);
    check(
        &[(entry, b"import 'hnoo'"), ("node_modules/hono/index.js", b"")],
        "unresolved-import",
        &["Did you mean `hono`?"],
    );
    check(
        &[(entry, b"import 'hono'"), ("package.json", br#"{"dependencies":{"hono":"4"}}"#)],
        "unresolved-import",
        &["is in package.json and not installed: run `npm install`"],
    );
    check(
        &[
            (entry, b"import 'p/inner'"),
            ("node_modules/p/package.json", br#"{"name":"p","exports":{".":"./m.js"}}"#),
            ("node_modules/p/m.js", b""),
        ],
        "unresolved-import",
        &["The package `p` is installed, and has no `inner` for components.", "not defined by exports"],
    );
    check(&[(entry, b"import 'elias/dv'")], "unresolved-import", &["There are elias/config, elias/cache,"]);
    check(
        &[(entry, b"import fs from 'node:fs'; fs.x()")],
        "unresolved-import",
        &["`node:fs` is a module of Node.js, which components do not have. There is no file system."],
    );
    check(&[(entry, b"import v from 'vm'; v.x()")], "unresolved-import", &["so that it is bundled"]);
    check(&[(entry, b"import 'node:worker_threads'")], "unresolved-import", &["a module of Node.js"]);
    check(
        &[(entry, b"import 'https://x.test/a.js'")],
        "unresolved-import",
        &["[src/index.js:1:8]", "Only files and npm"],
    );
    check(
        &[(entry, b"export default () => import('https://x.test/a.js')")],
        "unresolved-import",
        &["[src/index.js:1:29]"],
    );
    check(
        &[(entry, b"import { b } from './a.js'; export default b"), ("src/a.js", b"export const a = 1")],
        "missing-export",
        &["[src/index.js:1:10]", "\"b\" is not exported by \"src/a.js\""],
    );
    check(&[(entry, b"import './style.css'"), ("src/style.css", b"a {}")], "bundle-error", &["CSS"]);
    check(&[(entry, b"import './p.png'"), ("src/p.png", b"\x89PNG\xff")], "syntax-error", &["src/p.png is not UTF-8"]);
    check(
        &[(entry, b"import a from './a.js'; export default () => eval('1')"), ("src/a.js", b"export default () => 1")],
        "bundle-error",
        &["has an import that nothing uses"],
    );
    let huge = format!("export default '{}'", "x".repeat(MAX_SOURCE_BYTES));
    check(&[(entry, huge.as_bytes())], "too-large", &["src/index.js has 33554449 bytes, the limit is 33554432"]);
    let deep = "[".repeat(20_000);
    check(&[(entry, deep.as_bytes())], "too-large", &["src/index.js nests brackets more than 10000 deep"]);
}

#[test]
fn several_errors_come_in_order() {
    let error = failed(&[
        ("index.js", b"import './b.js'; import './a.js'"),
        ("a.js", b"let ="),
        ("b.js", b"import './nowhere.js'; let x"),
    ]);
    let text = error.render(false);
    let found =
        ["[a.js:1:6]", "[b.js:1:8]"].map(|place| text.find(place).unwrap_or_else(|| panic!("{place} in\n{text}")));
    assert!(found.is_sorted(), "{text}");
}

#[test]
fn entries_that_are_none() {
    #[track_caller]
    fn check(entry: &str, expect: &[&str]) {
        let directory = project(&[("src/index.ts", b""), ("app.js", b"")]);
        let error = run_in(directory.path(), entry, false).expect_err("no entry");
        assert_eq!(error.code(), "entry-not-found");
        let text = error.render(false);
        for part in expect {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
    check("ap.js", &["the entry ap.js does not exist", "Did you mean `app.js`?"]);
    check("src/index.js", &["the entry src/index.js does not exist", "Did you mean `src/index.ts`?"]);
    check("nowhere/index.js", &["does not exist", "There is no directory `nowhere`"]);
    check("src", &["the entry src is a directory", "Did you mean `src/index.ts`?"]);
    check("", &["is a directory"]);
    let error = run_in(Path::new("/nowhere/at/all"), "a.js", false).expect_err("no project");
    assert_eq!(error.code(), "io");
}

#[test]
fn survives_machine_made_sources() {
    let nested = format!("export default {}{}", "[".repeat(9_000), "]".repeat(9_000));
    built(&[("index.js", nested.as_bytes())]);
    let calls = format!("export default {}0{}", "f(".repeat(9_000), ")".repeat(9_000));
    built(&[("index.js", calls.as_bytes())]);
    let sum = format!("export default x{}", " + x".repeat(4_000));
    built(&[("index.js", sum.as_bytes())]);
    let chain = format!("export default x{}", ".y".repeat(20_000));
    built(&[("index.js", chain.as_bytes())]);
}

#[test]
fn warns_of_own_files_only() {
    let bundle = built(&[
        ("index.js", b"import x from 'p'; export default () => [x, eval('x')]"),
        ("node_modules/p/index.js", b"export default () => eval('y')"),
    ]);
    let texts: Vec<_> = bundle.warnings.iter().map(|warning| warning.render(false)).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].contains("in 'index.js'")
            && texts[0].contains("bundle-warning")
            && texts[0].contains("[index.js:1:45]"),
        "{}",
        texts[0]
    );
}

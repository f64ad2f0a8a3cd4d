//! Tests of what a build makes of the WIT packages of an embedder's capabilities.

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("a folder");
        std::fs::write(file, text).expect("writing");
    }
    folder
}

fn read(files: &[(&str, &str)], paths: &[&str]) -> Result<Capabilities, BuildError> {
    let folder = folder(files);
    Capabilities::read(&paths.iter().map(PathBuf::from).collect::<Vec<_>>(), folder.path())
}

const GEO: &str = r"
/// Where places are.
package example:geo@1.2.0;

interface types {
  /// A point.
  record point { latitude: f64, longitude: f64, min-zoom: option<u8> }
  enum kind { city, small-town }
}

interface places {
  use types.{point, kind};
  variant size { unknown, inhabitants(u64) }
  flags traits { near-sea, old }
  /// Where a place is.
  find: func(name: string, kind: option<kind>) -> option<point>;
  delete: func(ids: list<u8>, nested: option<option<u32>>) -> result<list<size>, string>;
  all: func() -> tuple<traits, list<point>>;
}
";

#[test]
fn specifiers_mean_interfaces_with_and_without_their_versions() {
    let other = GEO.replace("1.2.0", "1.10.0");
    let found = read(&[("a.wit", GEO), ("b.wit", &other)], &["a.wit", "b.wit"]).expect("they are right");
    assert_eq!(found.find("example:geo/places"), Some("example:geo/places@1.10.0"), "the newest");
    assert_eq!(found.find("example:geo/places@1.2.0"), Some("example:geo/places@1.2.0"));
    assert_eq!(found.find("example:geo/places@1.3.0"), None);
    assert_eq!(found.find("example:geo/place"), None);
}

#[test]
fn packages_may_be_named_in_any_order() {
    let user = "package example:a;\ninterface i { use example:geo/types@1.2.0.{point}; f: func() -> point; }\n";
    let found = read(&[("a.wit", user), ("geo.wit", GEO)], &["a.wit", "geo.wit"]).expect("they are right");
    assert_eq!(
        found.names().collect::<Vec<_>>(),
        ["example:a/i", "example:geo/places@1.2.0", "example:geo/types@1.2.0"]
    );
    // Beside the file, in `deps`, it is not a module of its own.
    let files = [("wit/a.wit", user), ("wit/deps/geo.wit", GEO)];
    let found = read(&files, &["wit"]).expect("it is right");
    assert_eq!(found.names().collect::<Vec<_>>(), ["example:a/i"]);
    assert_eq!(found.files().len(), 2);
}

#[test]
fn what_is_wrong_is_shown_in_its_line() {
    #[track_caller]
    fn check(text: &str, code: &str, place: &str, wanted: &str) {
        let folder = folder(&[("geo.wit", text)]);
        let error = Capabilities::read(&["geo.wit".into()], folder.path());
        let error = error.and_then(|found| found.names().try_for_each(|name| found.module(name).map(drop)));
        let error = error.expect_err(text);
        let details = error.details();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(details.location.as_ref().expect("it has one").to_string().starts_with(place), "{error:?}");
        assert!(details.message.contains(wanted), "{}", details.message);
    }
    let interface = |body: &str| format!("package a:b;\n\ninterface i {{\n  {body}\n}}\n");
    check("package a:b;\n\ninterface i {\n  find func();\n}\n", "invalid-wit", "geo.wit:4:", "geo.wit");
    check(&interface("use c:d/e.{f};"), "invalid-wit", "geo.wit:4:", "c:d");
    let flags: Vec<String> = (0..33).map(|number| format!("g{number}")).collect();
    check(&interface(&format!("flags f {{ {} }}", flags.join(", "))), "invalid-wit", "geo.wit:4:", "32 flags");
    for (body, line, wanted) in [
        ("resource r { get: func() -> u32; }", "geo.wit:4:", "resource"),
        ("resource r;\n  f: func(r: borrow<r>);", "geo.wit:", "resource"),
        ("f: async func();", "geo.wit:4:", "async func"),
        ("f: func() -> stream<u8>;", "geo.wit:4:", "stream"),
        ("f: func() -> future<u8>;", "geo.wit:4:", "future"),
        ("record a { b: list<option<stream<u8>>> }\n  f: func(a: a);", "geo.wit:4:", "stream"),
    ] {
        check(&interface(body), "unsupported-wit", line, wanted);
    }
    check("package elias:db;\ninterface db { f: func(); }\n", "unsupported-wit", "geo.wit:2:", "part of ELIAS");
    let random = "package wasi:random@0.2.0;\ninterface random { get-random-u64: func() -> u64; }\n";
    check(random, "unsupported-wit", "geo.wit:2:", "part of ELIAS");
}

#[test]
fn a_path_that_is_not_there_is_said() {
    let error = read(&[], &["geo.wit"]).expect_err("nothing is there");
    assert_eq!(error.code(), "io");
    assert!(error.to_string().contains("geo.wit"), "{error}");
}

#[test]
fn declarations_have_jcos_names_for_types() {
    let found = read(&[("geo.wit", GEO)], &["geo.wit"]).expect("it is right");
    let text = found.declarations();
    for line in [
        "declare module \"example:geo/places@1.2.0\" {",
        "declare module \"example:geo/places\" {",
        "  export * from \"example:geo/places@1.2.0\";",
        "  export type Point = import(\"example:geo/types@1.2.0\").Point;",
        "  export interface Point {",
        "    minZoom?: number | undefined;",
        "  export type Kind = \"city\" | \"small-town\";",
        "  export type Size = { tag: \"unknown\" } | { tag: \"inhabitants\"; val: bigint };",
        "    nearSea?: boolean;",
        "   * Where a place is.",
        "  export function find(name: string, kind?: Kind | undefined): Point | undefined;",
        "   * @throws an Error whose `payload` is `string`",
        "  export { delete_ as delete };",
        "  export function all(): [Traits, Array<Point>];",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    let delete =
        "  function delete_(ids: Uint8Array, nested: { tag: \"none\" } | { tag: \"some\"; val: number | undefined })";
    assert!(text.contains(delete), "{text}");
}

#[test]
fn only_what_a_bundle_names_is_imported_and_described() {
    let found = read(&[("geo.wit", GEO)], &["geo.wit"]).expect("it is right");
    assert!(found.imported(&crate::api_usage::scan("find()", false)).functions().is_empty());
    let uses = crate::api_usage::scan("native.f(\"example:geo/places@1.2.0#find\")", false);
    let imported = found.imported(&uses);
    assert_eq!(imported.interfaces(), ["example:geo/places@1.2.0", "example:geo/types@1.2.0"]);
    assert_eq!(
        imported.describe().lines().collect::<Vec<_>>(),
        [
            "type f64 f64",
            "type u8 u8",
            "type option<u8> option 1",
            "type point record latitude 0 longitude 0 minZoom 2",
            "type option<point> option 3",
            "type string string",
            "type kind enum city small-town",
            "type option<kind> option 6",
            "func example:geo/places@1.2.0#find find 4 name 5 kind 7",
        ]
    );
}

#[test]
fn the_adapter_is_a_valid_module() {
    let found = read(&[("geo.wit", GEO)], &["geo.wit"]).expect("it is right");
    let ids = ["find", "delete", "all"].map(|name| format!("f(\"example:geo/places@1.2.0#{name}\")")).join(";");
    let uses = crate::api_usage::scan(&ids, false);
    let imported = found.imported(&uses);
    assert_eq!(imported.functions().len(), 3);
    wasmparser::Validator::new().validate_all(&adapter(&imported, "memory")).expect("it is valid");
}

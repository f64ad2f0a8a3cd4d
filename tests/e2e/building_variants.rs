//! `elias-build --stage`: one of several implementations is built.

use elias_tests::build::Project;
use elias_tests::serve::Server;

#[tokio::test]
async fn of_several_implementations_one_is_built_and_the_others_are_not_in_it() {
    let source = "const { component } = ELIAS;\n\
        export default component(\"shop\").implement({ fetch: () => new Response(\"the first\") })\n\
          .stage2().implement({ process: () => \"the second\" })\n\
          .stage3().implement({ fetch: () => new Response(\"the third\") });\n";
    let project = Project::new(&[("index.js", source)]);
    for (stage, body) in [("1", "the first"), ("3", "the third")] {
        let output = project.elias_build(&["index.js", "-o", "app.wasm", "--stage", stage]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let server = Server::start(&std::fs::read(project.path("app.wasm")).expect("it was written"), &[]);
        assert_eq!(server.get("/").await.body, body);
    }
    let inspected = project.elias_build(&["inspect", "app.wasm"]);
    assert!(String::from_utf8_lossy(&inspected.stdout).contains("stage       3 of 3"), "{inspected:?}");
    let refused = project.elias_build(&["index.js", "-o", "other.wasm", "--stage", "4"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no-stage") && said.contains("the module has 1, 2, 3"), "{said}");
}

#[tokio::test]
async fn a_later_implementation_may_be_in_a_module_of_its_own() {
    let project = Project::new(&[
        ("second.js", "ELIAS.component(\"shop\").stage2().implement({ fetch: () => new Response(\"the second\") });"),
        (
            "twice.js",
            "const shop = ELIAS.component(\"shop\"); shop.stage2().implement({ fetch() {} }); \
             shop.stage2().implement({ fetch() {} });",
        ),
        (
            "both.js",
            "ELIAS.component(\"a\").stage2().implement({ fetch() {} }); ELIAS.component(\"b\").implement({ \
             fetch() {} });",
        ),
    ]);
    for stage in [None, Some("2")] {
        let arguments: Vec<_> = ["second.js", "-o", "app.wasm"].into_iter().collect();
        let stage = stage.iter().flat_map(|stage| ["--stage", *stage]);
        let output = project.elias_build(&arguments.into_iter().chain(stage).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let server = Server::start(&std::fs::read(project.path("app.wasm")).expect("it was written"), &[]);
        assert_eq!(server.get("/").await.body, "the second");
    }
    let inspected = project.elias_build(&["inspect", "app.wasm"]);
    assert!(String::from_utf8_lossy(&inspected.stdout).contains("stage       2 of 2"), "{inspected:?}");
    for (entry, arguments, wanted) in [
        ("second.js", &["--stage", "1"][..], "the module has 2"),
        ("twice.js", &[], "stage2 of this component is implemented already"),
        ("both.js", &[], "this module is a component already"),
    ] {
        let output = project.elias_build(&[&[entry, "-o", "other.wasm"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(wanted), "{entry}: {said}");
    }
}
